"""Uploads in a folder: one folder each, with ``info`` (what it is) and ``data`` (its bytes)."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from shared.crypto import SealKey, UnsealKey
from shared.files import AppendFile, sync_folder, write_whole
from shared.sealed import SEGMENT_SIZE, Blob, Bytes, SealedReader
from shared.sealed_file import SealedFile
from shared.tus.store import Appender, Upload


class FolderStore:
    """All but how the bytes are kept."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def load(self, id: str) -> Upload | None:
        try:
            return msgspec.json.decode((self._root / id / "info").read_bytes(), type=Upload)
        except (FileNotFoundError, msgspec.DecodeError):  # a damaged note is as good as none: the client begins anew
            return None

    def save(self, upload: Upload) -> None:
        folder = self._root / upload.id
        for missing in (path for path in (self._root, folder) if not path.is_dir()):
            missing.mkdir(mode=0o700)
            sync_folder(missing.parent)
        write_whole(folder / "info", [msgspec.json.encode(upload)])

    def path(self, id: str) -> Path:
        return self._root / id / "data"

    def clear(self, id: str) -> None:
        for path in (self._root / id).glob("data*"):
            path.unlink()

    def delete(self, id: str) -> None:
        self.clear(id)  # first, so that a crash leaves no bytes that nobody knows
        shutil.rmtree(self._root / id)

    def uploads(self) -> Iterator[Upload]:
        for info in sorted(self._root.glob("*/info")):
            if (upload := self.load(info.parent.name)) is not None:
                yield upload


class SealingStore(FolderStore):
    """Seals while it receives; no plaintext is ever on the disk. ``blob_id`` names the sealed bytes."""

    def __init__(self, root: Path, recipients: Sequence[SealKey], key: UnsealKey, *,
                 segment_size: int = SEGMENT_SIZE) -> None:
        super().__init__(root)
        self._recipients = recipients
        self._key = key
        self._segment_size = segment_size

    def open(self, id: str) -> Appender:
        return SealedFile(self.path(id), self._recipients, self._key, segment_size=self._segment_size)

    def read(self, id: str) -> Iterator[Bytes]:
        with self.path(id).open("rb") as source:
            reader = SealedReader(source, self._key)
            yield from reader.pieces(0, reader.size)


class PlainFileStore(FolderStore):
    """Keeps the bytes as they come: for what is sealed already. Both names of the blob are those of its bytes."""

    def open(self, id: str) -> Appender:
        return PlainFile(self.path(id))

    def read(self, id: str) -> Iterator[Bytes]:
        with self.path(id).open("rb") as source:
            while piece := source.read(SEGMENT_SIZE):
                yield piece


class PlainFile:
    """Appends to a file and keeps its SHA-256, which opening finds again by reading the file."""

    def __init__(self, path: Path) -> None:
        self._file = AppendFile(path)
        try:
            self._file.sync()
            with path.open("rb") as source:
                self._sha256 = hashlib.file_digest(source, "sha256")
        except BaseException:  # a disk that fails: whoever asks again must not find it locked
            self._file.close()
            raise

    @property
    def size(self) -> int:
        return self._file.size

    def write(self, data: Bytes) -> None:
        self._sha256.update(data)
        self._file.write(data)

    def sync(self) -> None:
        self._file.sync()

    def finish(self) -> Blob:
        self._file.sync()
        digest = self._sha256.hexdigest()
        return Blob(digest, self.size, digest, self.size)

    def discard(self) -> None:
        self._file.discard()

    def close(self) -> None:
        self._file.close()
