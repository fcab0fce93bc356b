"""The job ledger: noted with what it is about, done once with its effect, whoever dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from cloud.platform import jobs, queues
from cloud.platform.bell import Bell
from cloud.platform.core import Platform
from cloud.platform.jobs import ATTEMPTS, Context, Job, Work
from cloud.platform.worker import Worker
from shared.clock import ManualClock
from shared.errors import QurbaniError
from tests.effects import affect, beside, count, effects, eventually

QUEUE = "tests"
LEASE = timedelta(seconds=60)

Run = Callable[[Context, dict[str, Any]], Awaitable[None]]


async def note(context: Context, payload: dict[str, Any]) -> None:
    async with context.finish() as session:
        await affect(session, payload["what"])


async def fail(context: Context, payload: dict[str, Any]) -> None:
    raise ValueError("no luck")


async def enqueue(platform: Platform, *whats: str) -> None:
    async with platform.database.begin() as session:
        for what in whats:
            await jobs.enqueue(session, QUEUE, what, {"what": what}, platform.clock.now())


async def claim(platform: Platform) -> jobs.Claim:
    held = await jobs.claim(platform.database, QUEUE, platform.clock.now(), LEASE)
    assert held is not None
    return held


async def states(platform: Platform) -> list[Any]:
    async with platform.database.begin() as session:
        rows = await session.execute(select(Work.key, Work.state, Work.attempts).order_by(Work.key))
        return [tuple(row) for row in rows]


def at_hand(platform: Platform, **settings: Any) -> tuple[Platform, ManualClock]:
    """The platform with a clock that is moved by hand."""
    clock = ManualClock()
    changed = msgspec.structs.replace(platform.settings, **settings)
    return msgspec.structs.replace(platform, clock=clock, settings=changed), clock


def worker(platform: Platform, run: Run = note, slots: int = 1) -> Worker:
    return Worker([Job(QUEUE, run, slots)], platform)


async def test_a_job_is_noted_with_what_it_is_about_or_not_at_all(platform: Platform) -> None:
    async def noted_and_failed() -> None:
        async with platform.database.begin() as session:
            await affect(session, "record")
            await jobs.enqueue(session, QUEUE, "record", {}, platform.clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await noted_and_failed()
    assert await effects(platform) == []
    assert await states(platform) == []


async def test_a_job_noted_twice_is_done_once_also_when_it_is_done_already(platform: Platform) -> None:
    async with beside(worker(platform).run()):
        await enqueue(platform, "a", "a")
        await eventually(platform, 1)
        await enqueue(platform, "a")
        await enqueue(platform, "b")
        assert await eventually(platform, 2) == ["a", "b"]
    assert await states(platform) == [("a", "done", 1), ("b", "done", 1)]


async def test_the_bell_wakes_a_worker_long_before_its_sweep(platform: Platform) -> None:
    sleepy = msgspec.structs.replace(platform, settings=msgspec.structs.replace(platform.settings, sweep_s=600.0))
    async with beside(worker(sleepy).run()):
        await enqueue(platform, "first")
        await eventually(platform, 1, seconds=5)
        await enqueue(platform, "second")
        await eventually(platform, 2, seconds=5)


async def test_without_redis_the_sweep_finds_the_work(platform: Platform) -> None:
    mute = msgspec.structs.replace(platform, bell=Bell("redis://127.0.0.1:1/0"))
    async with beside(worker(mute).run()):
        await mute.bell.ring([QUEUE])
        await enqueue(platform, "found")
        await eventually(platform, 1)
    mute.bell.close()


async def test_many_workers_do_each_job_once(platform: Platform) -> None:
    await enqueue(platform, *(f"{n:03}" for n in range(60)))
    async with beside(*(worker(platform, slots=3).run() for _ in range(3))):
        found = await eventually(platform, 60)
        await asyncio.sleep(0.2)
    assert sorted(found) == [f"{n:03}" for n in range(60)] == sorted(await effects(platform))


async def test_a_job_that_keeps_failing_is_parked_with_its_reason_and_can_be_taken_up_again(platform: Platform) -> None:
    at, clock = at_hand(platform)
    await enqueue(at, "hopeless", "fine")
    async with at.database.begin() as session:
        await session.execute(update(Work).where(Work.key == "fine").values(due=clock.now() + LEASE))
    runs = 0
    waits = []
    while (await states(at))[1][1] != "parked":
        held = await claim(at)
        assert held.key == "hopeless"
        await worker(at, fail).run_one(Job(QUEUE, fail), held)
        runs += 1
        waits.append(await count(at, "SELECT extract(epoch FROM due) * 1000 FROM platform.jobs WHERE key = 'hopeless'"))
        assert await jobs.claim(at.database, QUEUE, clock.now(), LEASE) is None
        waits[-1] -= clock.wall_ms
        clock.advance(waits[-1])
    assert runs == ATTEMPTS
    assert waits == sorted(waits)
    assert await count(at, "SELECT count(*) FROM platform.jobs WHERE reason LIKE '%no luck%'") == 1

    async with at.database.begin() as session:
        assert await jobs.unpark(session, clock.now()) == 1
    held = await claim(at)
    await worker(at).run_one(Job(QUEUE, note), held)
    assert await effects(at) == [held.key]


async def test_what_cannot_succeed_is_not_tried_again(platform: Platform) -> None:
    async def refuse(context: Context, payload: dict[str, Any]) -> None:
        raise QurbaniError("bad_input", "this video is a poem")

    await enqueue(platform, "poem")
    await worker(platform).run_one(Job(QUEUE, refuse), await claim(platform))
    assert await states(platform) == [("poem", "parked", 1)]


async def test_the_job_of_a_dead_worker_is_taken_over_and_the_dead_can_write_no_more(platform: Platform) -> None:
    at, clock = at_hand(platform)
    await enqueue(at, "inherited")
    first = Context(at, await claim(at))
    clock.advance(int(LEASE.total_seconds() * 1000) - 1)
    assert await jobs.claim(at.database, QUEUE, clock.now(), LEASE) is None
    clock.advance(1)
    second = Context(at, await claim(at))

    async def finish_late() -> None:
        async with first.finish() as session:
            await affect(session, "by a ghost")

    with pytest.raises(QurbaniError, match="lost_lease"):
        await finish_late()
    await note(second, {"what": "by the heir"})
    with pytest.raises(QurbaniError, match="lost_lease"):
        await finish_late()
    assert await effects(at) == ["by the heir"]


async def test_a_job_that_kills_its_workers_is_parked(platform: Platform) -> None:
    at, clock = at_hand(platform)
    await enqueue(at, "deadly", "harmless")
    for _ in range(ATTEMPTS):
        assert (await claim(at)).key == "deadly"
        clock.advance(1)
        async with at.database.begin() as session:
            for key, due in (("deadly", clock.now()), ("harmless", clock.now() + LEASE)):
                await session.execute(update(Work).where(Work.key == key).values(due=due))
    assert await jobs.claim(at.database, QUEUE, clock.now(), LEASE) is None
    assert (await states(at))[0] == ("deadly", "parked", ATTEMPTS + 1)


async def test_a_long_job_keeps_its_lease_and_an_effect_that_fails_leaves_it_undone(platform: Platform) -> None:
    quick = msgspec.structs.replace(platform, settings=msgspec.structs.replace(platform.settings, lease_s=1.5))
    taken = 0

    async def slow(context: Context, payload: dict[str, Any]) -> None:
        nonlocal taken
        taken += 1
        await asyncio.sleep(3)
        async with context.finish() as session:
            await affect(session, "effect")
            if taken == 1:
                raise ValueError("at the last moment")

    await enqueue(platform, "long")
    async with beside(worker(quick, slow, slots=2).run()):
        assert await eventually(platform, 1) == ["effect"]
    assert taken == 2
    assert await states(platform) == [("long", "done", 2)]


async def test_a_queue_tells_what_waits_how_long_one_takes_and_when_the_next_will_be_done(platform: Platform) -> None:
    at, clock = at_hand(platform)
    came = clock.now()
    await enqueue(at, *"abcdef")
    for took_ms in (2_000, 4_000):
        done = Context(at, await claim(at))
        clock.advance(took_ms)
        await note(done, {"what": "done"})
    await claim(at)
    await jobs.fail(at.database, await claim(at), QurbaniError("bad_input"), clock.now())
    async with at.database.begin() as session:
        [queue] = (standing := await queues.standing(session, clock.now())).queues
    assert (queue.name, queue.waiting, queue.running, queue.aside) == (QUEUE, 2, 1, 1)
    assert queue.oldest == came
    assert queue.mean_s == 3
    assert queue.ready_in_s == 3 * (1 + 3)  # one runs, two wait, and then it
    [parked] = standing.aside
    assert (parked.what, parked.queue, parked.attempts) == ("job", QUEUE, 1)
    assert "bad_input" in parked.reason
    async with at.database.begin() as session:
        assert await queues.take_up(session, clock.now(), "job", parked.id) == 1
    assert Counter(state for _, state, _ in await states(at)) == {"done": 2, "running": 1, "queued": 3}
