"""Blocking work on the disk, away from the event loop; and the uploads whose bytes are open there."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from shared.errors import QurbaniError
from shared.tus.leases import Leases
from shared.tus.store import Appender, Store

T = TypeVar("T")


class DiskThreads:
    """A few threads of their own, so that a disk that hangs takes no others with it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="tus")

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Do ``work`` to its end, also when the request is cancelled meanwhile.

        Raises ``storage_full`` or ``disk_fault``.
        """
        running = asyncio.get_running_loop().run_in_executor(self._threads, work, *args)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise QurbaniError("storage_full") from error
            if error.errno == errno.EIO:
                raise QurbaniError("disk_fault") from error
            raise

    def close(self) -> None:
        self._threads.shutdown()


class OpenAppenders:
    """The appenders of one store, kept open between requests, as opening one reads all that is there.

    At most ``limit`` are open; the one that was used longest ago is closed first. The caller holds the lease.
    """

    def __init__(self, store: Store, leases: Leases, disk: DiskThreads, limit: int) -> None:
        self._store = store
        self._leases = leases
        self._disk = disk
        self._limit = limit
        self._open: dict[str, Appender] = {}  # the one used last comes last

    @asynccontextmanager
    async def writing(self, id: str) -> AsyncIterator[Appender]:
        """If anything goes wrong inside, what is not durable is dropped, and the next one begins there.

        Raises ``unavailable`` when ``limit`` others are being written at this moment.
        """
        if id not in self._open:
            self._make_room()
            await self._disk.run(self._open_one, id)
        appender = self._open[id] = self._open.pop(id)
        try:
            yield appender
        except BaseException:
            del self._open[id]
            with suppress(OSError):
                await self._disk.run(appender.discard)
            raise

    def close(self, id: str) -> None:
        if (appender := self._open.pop(id, None)) is not None:
            appender.close()

    def close_all(self) -> None:
        for id in list(self._open):
            self.close(id)

    def _open_one(self, id: str) -> None:
        # In the thread, so that an appender is not lost, and its lock with it, if the request is cancelled meanwhile.
        self._open[id] = self._store.open(id)

    def _make_room(self) -> None:
        while len(self._open) >= self._limit:
            idle = next((id for id in self._open if not self._leases.is_held(id)), None)
            if idle is None:
                raise QurbaniError("unavailable", "too many uploads at once", retry_after=5)
            self.close(idle)
