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


def is_encrypted(folder: Path, sys: Path = Path("/sys/dev/block")) -> bool | None:
    """Whether all that lies under ``folder`` goes through dm-crypt (LUKS); None where the kernel does not say.

    A file system that shows no device of its own (overlay, btrfs, a network) is asked for by what it was mounted from.
    """
    device = os.stat(folder).st_dev
    if not os.major(device):
        source = _mounted_from(f"{os.major(device)}:{os.minor(device)}")
        if source is None:
            return None
        device = os.stat(source).st_rdev
    block = sys / f"{os.major(device)}:{os.minor(device)}"
    return _is_crypt(block.resolve()) if block.exists() else None


def _is_crypt(block: Path) -> bool:
    """Whether a device is dm-crypt's, or all that it is made of is."""
    with suppress(FileNotFoundError):
        if (block / "dm" / "uuid").read_text().startswith("CRYPT-"):
            return True
    below = list((block / "slaves").glob("*"))
    if not below and (block / "partition").exists():
        below = [block.parent]
    return bool(below) and all(_is_crypt(each.resolve()) for each in below)


def _mounted_from(device: str) -> str | None:
    """The device node of a mount, as proc(5) has it: ``36 35 0:42 / /mnt rw - btrfs /dev/mapper/x rw``."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        source = after.split()[1]
        if before.split()[2] == device and source.startswith("/dev/") and Path(source).is_block_device():
            return source
    return None


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
