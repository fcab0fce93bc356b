"""The copies of one video: opened, proved to be what the box recorded, compressed, sealed again. Blocking."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import msgspec

from cloud.storage.service import Store
from cloud.uploads.schemas import Copy, Variant, Video
from shared.crypto import UnsealKey
from shared.errors import QurbaniError
from shared.renditions import MESSENGER_BYTES, WATCHABLE, Progress, messenger, sandbox
from shared.scratch import Scratch
from shared.sealed import SealedReader, Sealer

_PIECE = 1024 * 1024


class Workshop(msgspec.Struct, frozen=True):
    """Where copies are made: the store, the hub's key, and which attempt this is, counted from 1.

    Unfinished files carry the number of their attempt, so that two workers with one video never share a file.
    """

    store: Store
    key: UnsealKey
    attempt: int

    def make(self, video: Video, progress: Progress) -> list[Copy]:
        """The original, a compressed copy, one for messengers and a poster, all of them sealed in the store.

        Nothing readable touches a disk. Raises ``wrong_key``, ``damaged``, ``not_found`` or one of the codes of a
        file that is no whole video; then the original is of no use. What ``progress`` raises ends the work.
        """
        self._clear_away(video)
        with self.store.open(video.blob_id) as sealed, SealedReader(sealed, self.key) as original:
            _prove(original, video.sha256)
            with Scratch() as compressed:
                made, still = sandbox.copies(original, compressed, progress=progress)
                watchable = self._keep(video, "compressed", compressed, "video/mp4", made.width, made.height)
                return [
                    Copy("original", video.blob_id, video.sha256, original.size, video.media_type),
                    watchable,
                    self._messenger(video, watchable, compressed, made.seconds, progress),
                    self._keep(video, "poster", io.BytesIO(still), "image/jpeg"),
                ]

    def _messenger(
        self, video: Video, watchable: Copy, compressed: BinaryIO, seconds: float, progress: Progress
    ) -> Copy:
        """What fits into a messenger: the copy to watch itself where that is small enough."""
        if watchable.size <= MESSENGER_BYTES:
            return msgspec.structs.replace(watchable, variant="messenger")
        compressed.seek(0)
        with Scratch() as small:
            made, _ = sandbox.copies(compressed, small, messenger(seconds, MESSENGER_BYTES), progress)
            return self._keep(video, "messenger", small, "video/mp4", made.width, made.height)

    def own(self, video: Video, watchable: Copy, donor_id: UUID, mutes: Sequence[tuple[float, float]]) -> Copy:
        """The copy to watch without the sound of some stretches. Raises as :meth:`make` does."""
        quality = msgspec.structs.replace(WATCHABLE, crf=23, mutes=tuple(mutes))
        with self.store.open(watchable.blob_id) as sealed, SealedReader(sealed, self.key) as film, Scratch() as muted:
            made, _ = sandbox.copies(film, muted, quality)
            return self._keep(video, "own", muted, "video/mp4", made.width, made.height, name=f"own-{donor_id}")

    def _clear_away(self, video: Video) -> None:
        """What workers left behind that were killed over this video."""
        for attempt in range(1, self.attempt):
            for variant in ("compressed", "messenger", "poster"):
                self._part(video, variant, attempt).unlink(missing_ok=True)

    def _part(self, video: Video, name: str, attempt: int) -> Path:
        return self.store.part(f"{video.id}.{name}.{attempt}")

    def _keep(self, video: Video, variant: Variant, file: BinaryIO, media_type: str, width: int | None = None,
              height: int | None = None, name: str = "") -> Copy:
        part = self._part(video, name or variant, self.attempt)
        try:
            with part.open("wb") as out:
                sealer = Sealer.begin(out.write, [self.key.public])
                for piece in _pieces(file):
                    sealer.write(piece)
                blob = sealer.finish()
            self.store.put(blob.blob_id, part)
        finally:
            part.unlink(missing_ok=True)
        return Copy(variant, blob.blob_id, blob.sha256, blob.size, media_type, width, height)


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
