"""Hides and meat on a box whose clock the test sets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from edge.butchery import BatchEntry, Butchery, HideEntry
from edge.capture import Capture, Video
from edge.db import Database
from edge.intake import Entry, Intake
from edge.node import Node
from shared.clock import ManualClock
from shared.errors import QurbaniError
from shared.ids import new_id
from sync import merge
from sync.messages import Change
from sync.ops import GENESIS, HUB, Op
from tests.unit.edge.conftest import ANIMAL, EXECUTOR

HOUR_MS = 3_600_000


@pytest.fixture
def butchery(db: Database, capture: Capture) -> Butchery:
    return Butchery(db, capture)


def record(capture: Capture, animal: UUID) -> None:
    """The animal is sacrificed, and on film."""
    sacrifice = new_id()
    capture.open_sacrifice(sacrifice, animal, EXECUTOR)
    capture.keep_video(Video(new_id(), sacrifice, "ab" * 32, 5, new_id().hex * 2, 300, "video/mp4"), EXECUTOR)


def another(capture: Capture, tag: str, weight_g: int | None = None) -> UUID:
    id = new_id()
    Intake(capture).write(id, Entry(tag, "sheep", weight_g=weight_g), EXECUTOR)
    record(capture, id)
    return id


def told(db: Database, entity: str) -> list[dict[str, Any]]:
    rows = db.rows("SELECT patch FROM op WHERE entity = ? ORDER BY seq", entity)
    return [msgspec.msgpack.decode(row["patch"]) for row in rows]


def test_every_sacrificed_animal_is_missed_until_its_hide_is_here(
    db: Database, capture: Capture, butchery: Butchery, clock: ManualClock
) -> None:
    assert butchery.bare() == []
    capture.open_sacrifice(new_id(), ANIMAL, EXECUTOR)
    assert butchery.bare() == [], "it is not done yet"
    other = another(capture, "18")
    assert [animal.id for animal in butchery.bare()] == [other]
    hide = new_id()
    for _ in range(2):
        butchery.write_hide(hide, HideEntry(other, "A", ["cut"], 30, flayed_ago_min=15), EXECUTOR, is_new=True)
        clock.advance(60_000)
    assert butchery.bare() == []
    (patch,) = told(db, "skin")
    assert patch["flayed"]["wall_ms"] == 1_780_000_000_000 - 15 * 60_000
    merge.check(Op(HUB, 1, 1, "skin", hide, patch, "x", GENESIS))
    with pytest.raises(QurbaniError, match="has a hide already") as error:
        butchery.write_hide(new_id(), HideEntry(other), EXECUTOR)
    assert error.value.facts == {"hide_id": str(hide)}
    with pytest.raises(QurbaniError, match="not_found"):
        butchery.write_hide(new_id(), HideEntry(new_id()), EXECUTOR)


def test_the_clock_runs_by_the_heat_and_ends_in_the_salt(
    db: Database, capture: Capture, butchery: Butchery, clock: ManualClock
) -> None:
    cool, hot = new_id(), new_id()
    butchery.write_hide(cool, HideEntry(another(capture, "C"), heat_c=20), EXECUTOR)
    butchery.write_hide(hot, HideEntry(another(capture, "H"), heat_c=30), EXECUTOR)
    clock.advance(3 * HOUR_MS)
    first, second = butchery.hides(clock.read())
    assert [(first.id, first.late_s), (second.id, second.late_s)] == [(hot, 3600.0), (cool, -3600.0)]
    clock.wall_ms -= 10 * HOUR_MS  # somebody sets the clock of the box back: the steady one goes on
    assert butchery.hides(clock.read())[0].late_s == 3600.0
    for _ in range(2):
        butchery.salt(hot, EXECUTOR)
        clock.advance(HOUR_MS)
    waiting, salted = butchery.hides(clock.read())
    assert (waiting.id, salted.took, salted.was_late) == (cool, timedelta(hours=3), True)
    assert len(told(db, "skin")) == 3, "the second tap says nothing new"
    butchery.write_hide(hot, HideEntry(salted.animal_id, heat_c=30, is_salted=False), EXECUTOR)
    assert butchery.hides(clock.read())[0].late_s == 3 * 3600.0, "it was not in salt after all"
    with pytest.raises(QurbaniError, match="not_found"):
        butchery.salt(new_id(), EXECUTOR)


def test_what_another_box_wrote_counts_here(capture: Capture, butchery: Butchery, node: Node) -> None:
    animal = another(capture, "18")
    fields = {"site_id": str(node.site_id), "animal_id": str(animal), "grade": "B"}
    capture.apply_feed([Change(30, "skin", new_id(), fields)], 30)
    assert butchery.bare() == []
    batch = {"site_id": str(node.site_id), "animals": [str(animal)], "weight_g": 9_000, "packs": 3,
             "weighed": {"wall_ms": 1_780_000_000_000, "mono_ms": 1, "boot": "x"}}  # fmt: skip
    capture.apply_feed([Change(31, "batch", new_id(), batch)], 31)
    assert butchery.unweighed() == []
    assert butchery.days()[0].meat_g == 9_000


def test_the_balance_of_a_day(db: Database, capture: Capture, butchery: Butchery, clock: ManualClock) -> None:
    light, heavy = another(capture, "1", 40_000), another(capture, "2", 60_000)
    (day,) = butchery.days()
    assert (day.animals, day.weighed_in, day.live_g, day.meat_g, day.unweighed) == (2, 2, 100_000, 0, 2)
    assert day.expected_g == (42_000, 55_000)
    assert not day.is_off, "as long as an animal is on no scales nothing can be said"
    batch = new_id()
    for _ in range(2):
        butchery.write_batch(batch, BatchEntry(20_000, [light], 8), EXECUTOR)
    assert len(told(db, "batch")) == 1
    assert [animal.id for animal in butchery.unweighed()] == [heavy]
    butchery.write_batch(new_id(), BatchEntry(10_000, [heavy], 4), EXECUTOR)
    (day,) = butchery.days()
    assert (day.meat_g, day.packs, day.unweighed, day.is_off) == (30_000, 12, 0, True)
    butchery.write_batch(batch, BatchEntry(35_000, [light], 8), EXECUTOR)
    (day,) = butchery.days()
    assert (day.meat_g, day.is_off) == (45_000, False)
    assert [each.tags for each in day.batches] == [["1"], ["2"]]
    clock.advance(24 * HOUR_MS)
    another(capture, "3")
    assert [day.animals for day in butchery.days()] == [1, 2], "by day, the latest first"
    for wrong, code in ((BatchEntry(1, []), "bad_input"), (BatchEntry(1, [new_id()]), "not_found")):
        with pytest.raises(QurbaniError, match=code):
            butchery.write_batch(new_id(), wrong, EXECUTOR)
