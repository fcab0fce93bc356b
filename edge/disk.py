"""Room on the disk. A video that does not fit is refused before its first byte; records always fit."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from shared.errors import QurbaniError


class Disk:
    """The disk of the data folder, ``reserve`` bytes of which are not for videos."""

    def __init__(self, folder: Path, reserve: int) -> None:
        self._folder = folder
        self.reserve = reserve

    @property
    def free(self) -> int:
        """Bytes that an ordinary user could still write."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def has_room(self, size: int) -> bool:
        """Whether ``size`` bytes fit and leave the reserve."""
        return self.free - size >= self.reserve

    def make_sure(self, size: int) -> None:
        """Return when a video of ``size`` bytes fits. Raises ``disk_full``."""
        if not self.has_room(size):
            raise QurbaniError("disk_full", "no room for this video; the ones that are here are safe")


class Ballast:
    """A file of ``size`` bytes that only takes room, so that records can be written when all else has filled the disk.

    The reserve keeps videos away; the ballast is against whatever else writes: logs, updates, other programs.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def keep(self, disk: Disk) -> None:
        """Take the room, unless it is taken, or there is so little that it would be missed elsewhere."""
        if self._path.exists() or not disk.has_room(self._size):
            return
        whole = self._path.with_suffix(".part")
        with whole.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(self._size, 1))
        whole.rename(self._path)

    def drop(self) -> bool:
        """Give the room away; whether there was any to give."""
        with suppress(FileNotFoundError):
            self._path.unlink()
            return True
        return False
