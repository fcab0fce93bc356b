"""Files that tell the truth after a power cut: whole ones, and ones that grow up to a known place."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from shared.errors import QurbaniError


def write_whole(target: Path, chunks: Iterable[bytes], *, mode: int = 0o600) -> None:
    """Write ``chunks`` so that ``target`` is either the old file or the complete new one, also after a power cut.

    Returns only when the bytes and the name are on the disk. Raises ``OSError``; the target is then untouched.
    """
    with replaced_whole(target, mode=mode) as out:
        for chunk in chunks:
            out.write(chunk)


@contextmanager
def replaced_whole(target: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A file to write and to read back that takes the place of ``target`` at the end; not if anything is raised."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(fd, "w+b") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def kept_once(path: Path, fresh: str) -> str:
    """The text of a file for its owner's eyes, made of ``fresh`` where there is none; whoever is first decides."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with NamedTemporaryFile("w", dir=path.parent) as part:
            part.write(fresh)
            part.flush()
            os.fsync(part.fileno())
            with suppress(FileExistsError):
                os.link(part.name, path)
        sync_folder(path.parent)
    return path.read_text()


def sync_folder(folder: Path) -> None:
    """Make the names inside ``folder`` durable (a rename is not, until its folder is flushed)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def pieces(path: Path, size: int | None = None) -> Iterator[bytes]:
    """The bytes of a file, or the first ``size`` of them, a megabyte at a time."""
    left = path.stat().st_size if size is None else size
    with path.open("rb") as file:
        while left > 0 and (piece := file.read(min(left, 1 << 20))):
            left -= len(piece)
            yield piece


class AppendFile:
    """A file that grows at its end, by one writer at a time; what was written counts from the next :meth:`sync`.

    After an ``OSError`` (no room, a failed flush) nothing since the last sync may be trusted, as the kernel
    may have dropped it: :meth:`discard` cuts it off, so that it is written anew and not flushed again.
    """

    def __init__(self, path: Path) -> None:
        """Open or create ``path``. Raises ``locked`` while another process has it open this way."""
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._fd)
            raise QurbaniError("locked", f"{path.name} is being written by another process") from error
        self.size = os.fstat(self._fd).st_size
        self._durable: int | None = None  # until the first sync nobody knows

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            written = os.write(self._fd, view)
            self.size += written
            view = view[written:]

    def sync(self) -> None:
        """Return when all of the file, and its name, is on the disk."""
        if self._durable is None:
            os.fsync(self._fd)
            sync_folder(self.path.parent)
        elif self._durable != self.size:
            os.fdatasync(self._fd)
        self._durable = self.size

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        self.size = size
        if self._durable is not None:
            self._durable = min(self._durable, size)

    def discard(self) -> None:
        """Go back to what the last sync made durable, and close."""
        try:
            if self._durable is not None:
                os.ftruncate(self._fd, self._durable)
                os.fsync(self._fd)
        finally:
            self.close()

    def close(self) -> None:
        os.close(self._fd)
