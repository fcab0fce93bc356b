"""Blobs in a folder: ``blobs/ab/abcd...``, fanned out by the first two digits."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

from shared.errors import QurbaniError
from shared.files import sync_folder

_BLOB_ID = re.compile("[0-9a-f]{64}")


class FolderStore:
    """The :class:`cloud.storage.port.Store` of a small installation, in ``root``."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._parts = root / "parts"
        for folder in (self._blobs, self._parts):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def part(self, name: str) -> Path:
        return self._parts / name

    def put(self, blob_id: str, part: Path) -> None:
        target = self._path(blob_id)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(part, target)
        sync_folder(target.parent)
        sync_folder(self._blobs)  # the folder may be new, made by us or by one who crashed

    def has(self, blob_id: str) -> bool:
        return self._path(blob_id).exists()

    def open(self, blob_id: str) -> BinaryIO:
        try:
            return self._path(blob_id).open("rb")
        except FileNotFoundError as error:
            raise QurbaniError("not_found", f"there is no blob {blob_id}") from error

    def range(self, blob_id: str, start: int, stop: int) -> bytes:
        with self.open(blob_id) as blob:
            blob.seek(start)
            return blob.read(max(stop - start, 0))

    def delete(self, blob_id: str) -> None:
        self._path(blob_id).unlink(missing_ok=True)

    def _path(self, blob_id: str) -> Path:
        if not _BLOB_ID.fullmatch(blob_id):
            raise QurbaniError("bad_input", "a blob is named by 64 hex digits")
        return self._blobs / blob_id[:2] / blob_id
