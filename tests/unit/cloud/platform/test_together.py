"""Reads made together: few of them, none begun before it was asked for, and none that holds everybody up."""

from __future__ import annotations

import asyncio

import pytest

from cloud.platform import together
from cloud.platform.together import Together


class Shelf:
    """What is read, and how often."""

    def __init__(self) -> None:
        self.held, self.reads = 0, 0
        self.slow = asyncio.Event()
        self.slow.set()


async def read(shelf: Shelf, asked: list[int]) -> list[tuple[int, int]]:
    shelf.reads += 1
    held = shelf.held
    await shelf.slow.wait()
    if -1 in asked:
        raise LookupError
    return [(each, held) for each in asked]


async def test_who_asks_at_once_shares_a_read_and_each_gets_the_own_answer() -> None:
    shelf, reads = Shelf(), Together()
    assert await asyncio.gather(*(reads.ask(read, shelf, n) for n in range(30))) == [(n, 0) for n in range(30)]
    assert shelf.reads == 1


async def test_a_question_is_never_answered_by_a_read_that_was_under_way() -> None:
    shelf, reads = Shelf(), Together()
    shelf.slow.clear()
    first = asyncio.create_task(reads.ask(read, shelf, 1))
    await asyncio.sleep(0.01)
    shelf.held = 7
    second = asyncio.create_task(reads.ask(read, shelf, 2))
    await asyncio.sleep(0.01)
    shelf.slow.set()
    assert (await first, await second) == ((1, 0), (2, 7))


async def test_what_fails_fails_for_those_who_asked_and_not_for_the_next() -> None:
    shelf, reads = Shelf(), Together()
    found = await asyncio.gather(*(reads.ask(read, shelf, n) for n in (-1, 1)), return_exceptions=True)
    assert [type(each) for each in found] == [LookupError] * 2
    assert await reads.ask(read, shelf, 1) == (1, 0)


async def test_who_is_gone_and_what_hangs_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "PATIENCE_S", 0.05)
    shelf, reads = Shelf(), Together()
    shelf.slow.clear()
    gone, waits = (asyncio.create_task(reads.ask(read, shelf, n)) for n in (1, 2))
    await asyncio.sleep(0.01)
    gone.cancel()
    with pytest.raises(TimeoutError):
        await waits
    shelf.slow.set()
    assert await reads.ask(read, shelf, 3) == (3, 0)
