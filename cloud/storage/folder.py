"""Blobs in a folder: ``blobs/ab/abcd...``, fanned out by the first two digits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from cloud.storage.blobs import named, prove
from shared.errors import QurbaniError
from shared.files import sync_folder


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
            prove(blob_id, written)
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

    def delete(self, blob_id: str) -> None:
        self._path(blob_id).unlink(missing_ok=True)

    def check(self) -> None:
        if not os.access(self._blobs, os.R_OK | os.W_OK | os.X_OK):
            raise QurbaniError("unavailable", "the folder of the blobs cannot be used")

    def _path(self, blob_id: str) -> Path:
        return self._blobs / named(blob_id)[:2] / blob_id
