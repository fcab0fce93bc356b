"""The live log: what has changed at the hub, in a Redis stream, each entry with a place that cursors name.

An entry says what to look at, never what to see. The log may be lost or cut at any time: a cursor that it does not
reach back to any more is told so, and its page looks at everything anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec
from redis.asyncio import Redis

STREAM = "live"

MOST = 10_000
"""Entries that are kept; whoever was away for longer looks at everything anew."""

BEGIN = "0-0"
"""The cursor before every entry."""


class Entry(msgspec.Struct, frozen=True):
    """Something has changed about ``key``, of the kind that ``topic`` says; ``donor`` is whose it is, if anybody's."""

    topic: str
    key: str
    donor: str = ""


NOTHING = Entry("", "")

Placed = tuple[str, Entry]


_CURSOR = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


def is_cursor(text: str) -> bool:
    return _CURSOR.fullmatch(text) is not None


def number(cursor: str) -> tuple[int, int]:
    """Cursors in their order: Redis writes them as ``milliseconds-number``."""
    milliseconds, count = cursor.split("-")
    return int(milliseconds), int(count)


async def append(redis: Redis, entries: Iterable[Entry]) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for entry in entries:
            pipeline.xadd(STREAM, {"entry": msgspec.json.encode(entry)}, maxlen=MOST, approximate=True)
        await pipeline.execute()


async def begun(redis: Redis) -> str:
    """The cursor after all that there is.

    An empty log begins with an entry that says nothing: from there on it is whole, and a cursor from before that is one
    of a log that was lost.
    """
    if (newest := await head(redis)) == BEGIN:
        await append(redis, [NOTHING])
        newest = await head(redis)
    return newest


async def head(redis: Redis) -> str:
    """As :func:`begun`, but leaves an empty log as it is."""
    newest = await redis.xrevrange(STREAM, count=1)
    return str(newest[0][0], "ascii") if newest else BEGIN


async def first(redis: Redis) -> str | None:
    """The place of the oldest entry; None where there is none."""
    oldest = await redis.xrange(STREAM, count=1)
    return str(oldest[0][0], "ascii") if oldest else None


async def after(redis: Redis, cursor: str, most: int) -> list[Placed]:
    """At most so many entries after ``cursor``, the oldest first."""
    return _placed(await redis.xrange(STREAM, f"({cursor}", count=most))


async def wait(redis: Redis, cursor: str, most: int, patience_ms: int) -> list[Placed]:
    """As :func:`after`; where there are none yet it waits for them."""
    found = await redis.xread({STREAM: cursor}, count=most, block=patience_ms)
    return _placed(found[0][1]) if found else []


def _placed(found: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Placed]:
    return [(str(place, "ascii"), msgspec.json.decode(fields[b"entry"], type=Entry)) for place, fields in found]
