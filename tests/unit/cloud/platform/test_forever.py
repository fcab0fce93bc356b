"""Loops that run until they are stopped, and then stop."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from cloud.platform import forever as module
from cloud.platform.forever import forever, heard


async def test_a_wait_ends_with_its_event_and_with_its_patience() -> None:
    event = asyncio.Event()
    event.set()
    await heard(event, 60)
    assert not event.is_set()
    await heard(event, 0.01)


async def test_a_cancellation_that_comes_together_with_the_event_is_not_lost() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(heard(event, 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    event.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_fails_is_begun_again_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    times = []

    async def live() -> None:
        times.append(asyncio.get_running_loop().time())
        raise ValueError

    task = asyncio.create_task(forever("test", live))
    await asyncio.sleep(0.2)
    task.cancel()
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(pauses) >= 3
    assert all(pause >= 0.0099 * 2**n for n, pause in enumerate(pauses))  # a busy machine wakes late, never early
