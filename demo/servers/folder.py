"""The temporary folder of a set of servers. It belongs to whoever holds its lock and is rubbish once nobody does.

The lock (``flock`` on the folder itself) is given back by the kernel when its holder dies, whatever it dies of. So one
mechanism answers three questions: is the owner alive (the keeper waits for the lock), may this folder go (the next
start sweeps those it can lock), and who shares this set (whoever was told the path).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

PREFIX = "qurbani-servers-"
READY = "servers.json"
"""Written by the keeper when its servers answer; from then on the keeper removes the folder."""

HAND_OVER_S = 1.0
"""How long the keeper may take to notice that the owner has gone, before it is taken for dead."""
STOP_S = 15.0


class Folder:
    """A claimed folder: ``path``, and the lock that keeps it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def claim(cls) -> Folder:
        """Sweep what dead runs left, then make a new folder and lock it."""
        base = _base()
        sweep(base)
        while True:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
            # Another start may sweep it before it is locked; then there is nothing at its name any more.
            with contextlib.suppress(FileNotFoundError):
                lock = _open(path)
                fcntl.flock(lock, fcntl.LOCK_EX)
                if path.exists():
                    return cls(path, lock)
                os.close(lock)

    def release(self) -> None:
        """Give the folder up and wait until the keeper has stopped its servers, removed it and ended."""
        if not (self.path / READY).exists():
            shutil.rmtree(self.path, ignore_errors=True)
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        released = time.monotonic()
        while self.path.exists() and time.monotonic() < released + STOP_S:
            time.sleep(0.01)
            if time.monotonic() > released + HAND_OVER_S:
                sweep(self.path.parent)
        if not self.path.exists():
            fcntl.flock(self._lock, fcntl.LOCK_EX)  # the keeper has it until its very end
        os.close(self._lock)


def wait_for_owner(path: Path) -> int:
    """Block until the owner of ``path`` has released it or died; the lock is then held by this process."""
    lock = _open(path)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def sweep(base: Path) -> None:
    """Remove this user's folders in ``base`` that nobody holds."""
    for path in base.glob(PREFIX + "*"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if path.lstat().st_uid == os.geteuid() and (lock := _try_lock(path)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def reachable(path: Path) -> bool:
    """Whether every user may pass through all folders above ``path``."""
    return all(above.stat().st_mode & stat.S_IXOTH for above in path.absolute().parents)


def _base() -> Path:
    # PostgreSQL refuses to run as root, and the user that it runs as then has to get to its data.
    usual = Path(tempfile.gettempdir())
    if os.geteuid() == 0 and not reachable(usual / PREFIX):
        return Path("/tmp")  # noqa: S108 the name inside it comes from mkdtemp
    return usual


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _try_lock(path: Path) -> int | None:
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
