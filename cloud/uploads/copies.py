"""The copies of one video: opened, proved to be what the box recorded, compressed, sealed again. Blocking."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from cloud.storage.service import Store
from cloud.uploads.schemas import Copy, Video
from shared.crypto import UnsealKey
from shared.errors import QurbaniError
from shared.renditions import Progress, compress, poster
from shared.scratch import Scratch
from shared.sealed import SealedReader, Sealer

_PIECE = 1024 * 1024


class Workshop(msgspec.Struct, frozen=True):
    """Where copies are made: the store, the hub's key, and what makes the names of unfinished files unique."""

    store: Store
    key: UnsealKey
    mark: str

    def make(self, video: Video, progress: Progress) -> list[Copy]:
        """The original, a compressed copy and a poster, all of them sealed in the store.

        Nothing readable touches a disk. Raises ``wrong_key``, ``damaged``, ``not_found`` or one of the codes of a
        file that is no whole video; then the original is of no use. What ``progress`` raises ends the work.
        """
        with self.store.open(video.blob_id) as sealed, SealedReader(sealed, self.key) as original:
            _prove(original, video.sha256)
            still = poster(original)
            with Scratch() as compressed:
                size = compress(original, compressed, progress=progress)
                return [
                    Copy("original", video.blob_id, video.sha256, original.size, video.media_type),
                    self._keep("compressed", compressed, "video/mp4", size.width, size.height),
                    self._keep("poster", io.BytesIO(still), "image/jpeg"),
                ]

    def _keep(self, variant: str, file: BinaryIO, media_type: str, width: int | None = None,
              height: int | None = None) -> Copy:
        part = self.store.part(f"{self.mark}.{variant}")
        try:
            with part.open("wb") as out:
                sealer = Sealer.begin(out.write, [self.key.public])
                for piece in _pieces(file):
                    sealer.write(piece)
                blob = sealer.finish()
            self.store.put(blob.blob_id, part)
        finally:
            part.unlink(missing_ok=True)
        return Copy(variant, blob.blob_id, blob.sha256, blob.size, media_type, width, height)  # type: ignore[arg-type]


def _prove(original: BinaryIO, sha256: str) -> None:
    digest = hashlib.sha256()
    for piece in _pieces(original):
        digest.update(piece)
    if digest.hexdigest() != sha256:
        raise QurbaniError("not_the_original", "the file is not the one that the box recorded")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece
