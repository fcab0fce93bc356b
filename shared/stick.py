"""A folder on a stick: FAT32, exFAT or anything else that may be pulled out at any moment."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from shared.errors import QurbaniError
from shared.files import sync_folder, write_whole

_ROOT = "qurbani"
_NODE = re.compile(r"[0-9a-f]{32}")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StickFolder:
    """A :class:`sync.bundle.Stick`. ``moved`` is told of bytes as they go to or come from the stick."""

    def __init__(self, path: Path, moved: Callable[[int], None] = lambda size: None) -> None:
        self.path = path
        self._moved = moved

    def names(self) -> Sequence[str]:
        with _usable(self.path):
            return sorted(entry.name for entry in self.path.iterdir() if entry.is_file()) if self.path.exists() else []

    def size(self, name: str) -> int | None:
        with _usable(self.path):
            try:
                return self._file(name).stat().st_size
            except FileNotFoundError:
                return None

    def read(self, name: str, offset: int, size: int) -> bytes:
        with _usable(self.path):
            try:
                with self._file(name).open("rb") as file:
                    file.seek(offset)
                    found = file.read(size)
            except FileNotFoundError:
                return b""
        self._moved(len(found))
        return found

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        with _usable(self.path):
            self._make()
            write_whole(self._file(name), self._counted(pieces))

    def remove(self, name: str) -> None:
        with _usable(self.path):
            self._file(name).unlink(missing_ok=True)

    def room(self) -> int:
        with _usable(self.path):
            there = next(folder for folder in (self.path, *self.path.parents) if folder.exists())
            return shutil.disk_usage(there).free

    def _make(self) -> None:
        for missing in reversed([folder for folder in (self.path, *self.path.parents) if not folder.exists()]):
            missing.mkdir(exist_ok=True)
            sync_folder(missing.parent)

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._moved(len(piece))

    def _file(self, name: str) -> Path:
        assert "/" not in name, "a bundle has no folders"
        return self.path / name


def to_hub(stick: Path, node: UUID) -> Path:
    """Where a box writes its bundles on a stick."""
    return stick / _ROOT / node.hex / "to-hub"


def to_box(stick: Path, node: UUID) -> Path:
    """Where the hub writes its answers to a box."""
    return stick / _ROOT / node.hex / "to-box"


def boxes(stick: Path) -> list[UUID]:
    """The boxes that have written on a stick."""
    with _usable(stick):
        return [UUID(folder.name) for folder in sorted(stick.glob(f"{_ROOT}/*")) if _NODE.fullmatch(folder.name)]


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise QurbaniError("storage_full", f"there is no room on {path}") from error
        raise QurbaniError("stick_gone", f"{path}: {error.strerror or error}") from error
