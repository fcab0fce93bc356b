"""The end of the live log in the memory of a process: read once from Redis, for all sockets that wait for it."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from cloud.gateway import log
from cloud.gateway.log import Entry, Placed

PAGE = 500
HELD = 2_000
"""Entries in memory; a page that has missed more is answered out of Redis."""

WAIT_MS = 2_000
"""Less than the time limit of a command."""


class Event(msgspec.Struct, frozen=True):
    """``entity`` is a kind of event (``order.changed`` ...), ``key`` the id of what it is about."""

    entity: str
    key: str


class Page(msgspec.Struct, frozen=True):
    """What came after a cursor, oldest first, and the cursor to ask with next time.

    ``is_whole`` is False when older events have been forgotten meanwhile: then look at everything anew.
    """

    cursor: str
    events: list[Event]
    is_whole: bool = True


class Tail:
    """Follows the log in :meth:`live`, and answers what came after a cursor."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._held: list[Placed] = []
        self._since: str | None = None
        self.tick = asyncio.Event()
        """Set when there is more. Take it before looking, so that nothing falls in between."""

    @property
    def head(self) -> str | None:
        """The cursor after all that is held: what a page that is made from now on will have seen. None before any."""
        return self._held[-1][0] if self._held else self._since

    async def live(self) -> None:
        """Follow until Redis fails, which raises; what is held is not believed any more then."""
        try:
            self._since = await log.begun(self._redis)
            while True:
                cursor = self.head or log.BEGIN
                if found := await log.wait(self._redis, cursor, PAGE, WAIT_MS):
                    self._take(found)
                elif log.number(await log.head(self._redis)) < log.number(cursor):
                    return  # another Redis, or an emptied one
        finally:
            self._held, self._since = [], None
            self._wake()

    async def page(self, cursor: str, concerns: Callable[[Entry], bool]) -> Page:
        """What came after ``cursor`` of what ``concerns`` whoever asks, from at most :data:`PAGE` entries."""
        if self._since is not None and log.number(self._since) <= log.number(cursor):
            at = bisect_right(self._held, log.number(cursor), key=lambda placed: log.number(placed[0]))
            found, is_whole = self._held[at : at + PAGE], log.number(cursor) <= log.number(self.head or cursor)
        else:
            found, is_whole = await self._from_redis(cursor)
        if not is_whole:
            return Page(await log.head(self._redis), [], is_whole=False)
        events = [Event(entry.topic, entry.key) for _, entry in found if entry != log.NOTHING and concerns(entry)]
        return Page(found[-1][0] if found else cursor, events)

    async def _from_redis(self, cursor: str) -> tuple[list[Placed], bool]:
        found = await log.after(self._redis, cursor, PAGE)
        # Asked for at last: what was cut off meanwhile may be what was looked for.
        first, head = await log.first(self._redis), await log.head(self._redis)
        is_whole = log.number(first or log.BEGIN) <= log.number(cursor) <= log.number(head)
        return (found if is_whole else []), is_whole

    def _take(self, found: list[Placed]) -> None:
        self._held += found
        if (over := len(self._held) - HELD) > 0:
            self._since = self._held[over - 1][0]
            del self._held[:over]
        self._wake()

    def _wake(self) -> None:
        self.tick.set()
        self.tick = asyncio.Event()


UNREACHABLE = (RedisError, OSError)
