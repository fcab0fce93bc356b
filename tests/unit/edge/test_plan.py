"""The plan of a day at a site whose sun is known, on a clock that the test sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edge.capture import Capture, Video
from edge.db import Database
from edge.intake import Entry, Intake
from edge.node import Node
from edge.site import Site
from shared.clock import ManualClock, to_ms
from shared.ids import new_id
from sync.messages import Change
from tests.unit.edge.conftest import ANIMAL, EXECUTOR

EID = datetime(2027, 5, 16, tzinfo=UTC)
MIRPUR = {"timezone": "Asia/Karachi", "latitude": 33.148, "longitude": 73.752}


class Yard:
    """A site at which animals are sacrificed one after the other."""

    def __init__(self, db: Database, capture: Capture, clock: ManualClock, node: Node) -> None:
        self.site, self.capture, self.clock, self.node = Site(db), capture, clock, node
        self.cursor = 100

    def tell(self, *changes: tuple[str, Any, dict[str, Any]]) -> None:
        self.cursor += len(changes)
        self.capture.apply_feed([Change(self.cursor, *change) for change in changes], self.cursor)

    def animals(self, count: int) -> list[Any]:
        ids = [new_id() for _ in range(count)]
        self.tell(*(("animal", id, {"site_id": str(self.node.site_id), "tag": f"T{n}{id}", "species": "sheep"})
                    for n, id in enumerate(ids)))  # fmt: skip
        self.tell(*(("share", new_id(), {"animal_id": str(id), "name": "Ahmed Benali"}) for id in ids))
        return ids

    def at(self, hour: float, days: int = 0) -> None:
        """The hour of the site's day, which is five hours before UTC's."""
        self.clock.wall_ms = to_ms(EID + timedelta(days=days, hours=hour - 5))

    def sacrifice(self, animal: Any) -> None:
        id = new_id()
        self.capture.open_sacrifice(id, animal, EXECUTOR)
        self.capture.keep_video(Video(new_id(), id, "ab" * 32, 5, new_id().hex * 2, 300, "video/mp4"), EXECUTOR)

    def plan(self) -> Any:
        return self.site.plan(self.clock.now())


@pytest.fixture
def yard(db: Database, capture: Capture, clock: ManualClock, node: Node) -> Yard:
    yard = Yard(db, capture, clock, node)
    yard.at(12)
    return yard


def test_without_a_place_there_is_no_sun_and_no_forecast(yard: Yard) -> None:
    plan = yard.plan()
    assert (plan.done, plan.remaining, plan.sunset, plan.at_sunset, plan.alarm) == (0, 1, None, None, "none")


def test_a_slow_day_is_alarmed_hours_before_the_sun_sets(yard: Yard) -> None:
    yard.tell(("site", yard.node.site_id, MIRPUR))
    animals = yard.animals(120)
    for n in range(40):
        yard.at(8 + n * 0.1)
        yard.sacrifice(animals[n])
    yard.at(12)
    plan = yard.plan()
    assert (plan.done, plan.remaining) == (40, 81), "the one of the fixture has a name, too"
    assert 9 < plan.per_hour < 11
    assert plan.sunset.hour == 18
    assert plan.sunset == plan.ends
    assert plan.needed_per_hour > 11
    assert plan.alarm == "alarm"
    assert plan.at_sunset.low < plan.at_sunset.likely < plan.at_sunset.high < 81
    assert (plan.sunset - yard.clock.now()) > timedelta(hours=3)


def test_what_does_not_count_or_has_no_name_or_is_done_is_not_to_be_done(yard: Yard) -> None:
    yard.tell(("site", yard.node.site_id, MIRPUR))
    before = yard.plan().remaining
    (animal,) = yard.animals(1)
    Intake(yard.capture).write(new_id(), Entry("no name yet", "goat"), EXECUTOR)
    assert yard.plan().remaining == before + 1
    Intake(yard.capture).write(ANIMAL, Entry("17", "sheep", pen="A", defects=["lame"]), EXECUTOR)
    assert yard.plan().remaining == before
    yard.sacrifice(animal)
    assert (yard.plan().remaining, yard.plan().done) == (before - 1, 1)
    yard.at(12, days=1)
    assert yard.plan().done == 0


def test_with_days_to_come_what_is_left_today_is_no_alarm_yet(yard: Yard) -> None:
    yard.tell(("site", yard.node.site_id, MIRPUR | {"eid_day": "2027-05-16", "eid_begins": "07:10:00", "per_hour": 10}))
    animals = yard.animals(200)
    yard.at(12)
    first = yard.plan()
    assert (first.ends.date() - first.sunset.date()).days == 3
    assert first.at_sunset.likely > 100
    assert first.alarm == "none"
    assert 20 < first.goal < 45
    assert first.planned_per_hour == 10
    for animal in animals[:20]:
        yard.sacrifice(animal)
    yard.at(12, days=3)
    last = yard.plan()
    assert (last.sunset, last.alarm, last.goal) == (last.ends, "alarm", last.remaining)
    yard.at(21, days=3)
    over = yard.plan()
    assert (over.sunset, over.at_sunset, over.at_end, over.needed_per_hour) == (None, None, None, None)


def test_before_the_prayer_the_hours_begin_with_it(yard: Yard) -> None:
    yard.tell(("site", yard.node.site_id, MIRPUR | {"eid_day": "2027-05-16", "eid_begins": "09:00:00", "per_hour": 10}))
    yard.animals(30)
    yard.at(5.5)
    early = yard.plan()
    yard.at(9)
    assert early.at_sunset == yard.plan().at_sunset
    yard.at(12, days=-1)
    assert yard.plan().goal is None, "nothing counts on this day"
