"""Sealed videos on the disk: one file each, named by the SHA-256 of its sealed bytes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from shared.crypto import SealKey, UnsealKey
from shared.errors import QurbaniError
from shared.files import sync_folder
from shared.sealed import Blob, SealedReader, Sealer


class Blobs:
    """A :class:`sync.ports.Blobs` over a folder."""

    def __init__(self, folder: Path, key: UnsealKey) -> None:
        self._folder = folder
        self._key = key

    def path(self, blob_id: str) -> Path:
        return self._folder / blob_id[:2] / blob_id

    def keep(self, source: Path, blob_id: str) -> None:
        """Let the whole, flushed file ``source`` also stand under its name here; durable when this returns."""
        target = self.path(blob_id)
        if not target.parent.is_dir():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._folder)
        with suppress(FileExistsError):  # an earlier attempt came this far; the name vouches for the bytes
            os.link(source, target)
        sync_folder(target.parent)

    def seal(self, plain: bytes, recipients: Sequence[SealKey], path: Path) -> Blob:
        """Keep ``plain`` sealed for them; ``path`` is where the file grows. Durable when this returns."""
        with path.open("wb") as out:
            sealer = Sealer.begin(out.write, recipients)
            sealer.write(plain)
            blob = sealer.finish()
            out.flush()
            os.fsync(out.fileno())
        self.keep(path, blob.blob_id)
        path.unlink()
        sync_folder(path.parent)
        return blob

    def drop(self, blob_id: str) -> None:
        self.path(blob_id).unlink(missing_ok=True)

    def read(self, blob_id: str, offset: int, size: int) -> bytes:
        """Sealed bytes. Raises ``damaged`` when the file has gone."""
        try:
            with self.path(blob_id).open("rb") as source:
                source.seek(offset)
                return source.read(size)
        except FileNotFoundError as error:
            raise QurbaniError("damaged", f"the blob {blob_id} is not on the disk") from error

    @contextmanager
    def opened(self, blob_id: str) -> Iterator[IO[bytes]]:
        """The plaintext of a blob, decrypted in memory as it is read. Raises ``damaged`` or ``wrong_key``."""
        with self.path(blob_id).open("rb") as source:
            yield io.BufferedReader(SealedReader(source, self._key))
