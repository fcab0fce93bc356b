"""One writer an upload: who comes later gets the lease, and a stale connection gives it up at once.

A holder is asked to give up (its wait for more bytes ends), writes down what it has, and only then lets go. So
whoever gets the lease next sees every byte that arrived, and the one before can write no more: that is the
fence. Across processes the store's file lock takes this place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import QurbaniError


class Lease:
    """The right to write to one upload. ``is_wanted`` says that somebody waits for it."""

    def __init__(self, is_wanted: bool) -> None:
        self.is_wanted = is_wanted
        self._seconds = 0.0
        self._timer: asyncio.Timeout | None = None

    @asynccontextmanager
    async def waiting(self, seconds: float) -> AsyncIterator[None]:
        """A wait that ends with ``TimeoutError`` after ``seconds`` of silence, or as soon as the lease is wanted."""
        self._seconds = seconds
        async with asyncio.timeout(0 if self.is_wanted else seconds) as self._timer:
            try:
                yield
            finally:
                self._timer = None

    def heard(self) -> None:
        """Something came: the silence begins anew."""
        if not self.is_wanted:
            self._end_wait(asyncio.get_running_loop().time() + self._seconds)

    def give_up(self) -> None:
        self.is_wanted = True
        self._end_wait(0)

    def _end_wait(self, when: float) -> None:
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(when)


class Leases:
    """The leases of all uploads. ``patience_s`` is how long a holder may take to let go."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._entries: dict[str, _Entry] = {}

    def is_held(self, id: str) -> bool:
        return id in self._entries

    @asynccontextmanager
    async def hold(self, id: str) -> AsyncIterator[Lease]:
        """Raises ``locked`` when the holder does not let go in time."""
        entry = self._entries.setdefault(id, _Entry())
        entry.waiting += 1
        try:
            if entry.holder is not None:
                entry.holder.give_up()
            try:
                async with asyncio.timeout(self._patience_s):
                    await entry.lock.acquire()
            except TimeoutError as error:
                raise QurbaniError("locked", retry_after=self._patience_s) from error
        finally:
            entry.waiting -= 1
            self._forget(id, entry)
        entry.holder = Lease(is_wanted=entry.waiting > 0)
        try:
            yield entry.holder
        finally:
            entry.holder = None
            entry.lock.release()
            self._forget(id, entry)

    def _forget(self, id: str, entry: _Entry) -> None:
        if not entry.waiting and not entry.lock.locked():
            self._entries.pop(id, None)


class _Entry:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.holder: Lease | None = None
        self.waiting = 0
