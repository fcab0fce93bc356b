"""Room on the disk. A video that does not fit is refused before its first byte; records always fit."""

from __future__ import annotations

import os
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

    def make_sure(self, size: int) -> None:
        """Return when a video of ``size`` bytes fits and leaves the reserve. Raises ``disk_full``."""
        if self.free - size < self.reserve:
            raise QurbaniError("disk_full", "no room for this video; the ones that are here are safe")
