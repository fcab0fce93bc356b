"""Five hundred boxes at the door of the hub, on a clock that is moved by hand."""

from __future__ import annotations

import heapq
import random
import statistics
from uuid import UUID

import pytest

from cloud.apply.admission import LIVE_BYTES, OP_BYTES, PATIENCE_S, Admission
from shared.clock import ManualClock
from shared.errors import QurbaniError
from sync.backoff import delay_s

OPS_S = 1000.0
BATCH = 1000


def herd(sites: int, batches: int, chance: random.Random) -> tuple[dict[int, float], int]:
    """When each site has handed in all of its batches, in seconds, and how often one was sent away."""
    clock = ManualClock()
    started, door, sent_away = clock.mono_ms, Admission(OPS_S, clock), 0
    left, done = dict.fromkeys(range(sites), batches), {}
    failures = dict.fromkeys(range(sites), 0)
    due = [(chance.uniform(0, 5), site) for site in range(sites)]
    heapq.heapify(due)
    while due:
        at, site = heapq.heappop(due)
        clock.advance(max(0, int(at * 1000) - (clock.mono_ms - started)))
        wait = door.book(UUID(int=site), BATCH * OP_BYTES)
        if wait > PATIENCE_S:
            sent_away += 1
            failures[site] += 1
            error = QurbaniError("too_many_requests", retry_after=int(wait) + 1)
            heapq.heappush(due, (at + delay_s(failures[site], error, chance.random), site))
            continue
        failures[site], left[site] = 0, left[site] - 1
        if left[site]:
            heapq.heappush(due, (at + wait + 0.5, site))
        else:
            done[site] = at + wait
    return done, sent_away


def test_a_herd_is_served_at_the_rate_and_no_site_starves() -> None:
    done, sent_away = herd(500, 2, random.Random(3))
    whole = max(done.values())
    assert len(done) == 500
    assert whole <= 1.2 * 500 * 2 * BATCH / OPS_S
    assert whole <= 3 * statistics.median(done.values())
    assert sent_away <= 2 * 500, "nobody is sent away twice for the same batch"


def test_live_boxes_pass_whoever_waits() -> None:
    door = Admission(OPS_S, ManualClock())
    waits = [door.book(UUID(int=n), BATCH * OP_BYTES) for n in range(20)]
    assert waits[0] == 0
    assert waits[-1] > 10
    assert door.book(UUID(int=99), LIVE_BYTES) == 0
    assert door.book(UUID(int=19), LIVE_BYTES) == 0


async def test_a_box_is_told_when_to_come_back_and_then_it_is_its_turn() -> None:
    clock = ManualClock()
    door, late = Admission(OPS_S, clock), UUID(int=1)
    for n in range(10, 20):
        door.book(UUID(int=n), BATCH * OP_BYTES)
    with pytest.raises(QurbaniError) as refused:
        await door.enter(late, BATCH * OP_BYTES)
    assert refused.value.code == "too_many_requests"
    clock.advance(refused.value.facts["retry_after"] * 1000)
    for n in range(30, 40):
        door.book(UUID(int=n), BATCH * OP_BYTES)
    await door.enter(late, BATCH * OP_BYTES)


def test_what_was_booked_by_boxes_that_never_return_is_forgotten() -> None:
    clock = ManualClock()
    door = Admission(OPS_S, clock)
    for n in range(100):
        door.book(UUID(int=n), BATCH * OP_BYTES)
    clock.advance(3_600_000)
    for n in range(200, 210):
        door.book(UUID(int=n), BATCH * OP_BYTES)
    assert len(door._booked) < 10
