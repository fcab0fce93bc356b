"""The outermost loop of everything that runs until it is stopped; the one place with a broad ``except``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0


async def forever(name: str, live: Callable[[], Awaitable[None]]) -> None:
    """Run ``live`` again and again, with growing pauses while it keeps failing. Ends only by cancellation."""
    pause = FIRST_PAUSE_S
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await live()
        except Exception as error:
            log.warning("loop.failed", loop=name, error=repr(error), pause_s=pause)
        if asyncio.get_running_loop().time() - started > LONGEST_PAUSE_S:
            pause = FIRST_PAUSE_S
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)


async def heard(event: asyncio.Event, patience_s: float) -> None:
    """Wait for the event, at most ``patience_s``; then clear it."""
    # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await event.wait()
    event.clear()
