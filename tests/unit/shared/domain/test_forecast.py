"""The forecast of what is left at sunset, on simulated days of which the end is known."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from shared.domain.forecast import Rate, forecast, rate

DAWN = datetime(2027, 5, 16, 7, tzinfo=UTC)
HOURS = 11.5
STEP_S = 60


class Day(msgspec.Struct):
    """When each animal was done, how many there were, how many an hour were planned."""

    done: list[datetime]
    animals: int
    planned: float | None

    def left_at(self, hours: float) -> int:
        return self.animals - sum(each <= DAWN + timedelta(hours=hours) for each in self.done)


def simulated(random: Random) -> Day:
    """A team whose pace wanders by some ten percent each half hour, tires, eats for three quarters of an hour, and
    plans with an error of a third; with up to a third more or fewer animals than it can do."""
    pace = random.uniform(8, 50)
    planned = pace * math.exp(random.gauss(0, 0.3)) if random.random() < 0.7 else None
    lunch = random.uniform(4.5, 6.5)
    animals = round(pace * (HOURS - 0.75) * random.uniform(0.65, 1.35))
    drift, done = 0.0, []
    for step in range(int(HOURS * 3600 / STEP_S)):
        hour = step * STEP_S / 3600
        if step % 30 == 0:
            drift = 0.9 * drift + random.gauss(0, 0.1)
        if lunch < hour < lunch + 0.75:
            continue
        now = pace * math.exp(drift) * (1 - 0.015 * hour)
        if len(done) < animals and random.random() < now * STEP_S / 3600:
            done.append(DAWN + timedelta(hours=hour))
    return Day(done, animals, planned)


@pytest.fixture(scope="module")
def days() -> list[Day]:
    random = Random(1447)
    return [simulated(random) for _ in range(300)]


def told(day: Day, hour: float) -> tuple[int, int, float] | None:
    """Low, high and risk as they were told at this hour of the day."""
    now = DAWN + timedelta(hours=hour)
    speed = rate([each for each in day.done if each <= now], DAWN, now, day.planned)
    if speed is None:
        return None
    found = forecast(day.left_at(hour), HOURS - hour, speed)
    assert found.low <= found.likely <= found.high
    return found.low, found.high, found.risk


def test_the_range_holds_about_as_often_as_it_says(days: list[Day]) -> None:
    for hour in (2, 4, 7, 9, 10.5):
        hits = [said[0] <= day.left_at(HOURS) <= said[1] for day in days if (said := told(day, hour))]
        assert sum(hits) / len(hits) >= 0.74, hour
        assert len(hits) > 250


def test_a_day_that_will_not_do_is_told_three_hours_ahead(days: list[Day]) -> None:
    short = [day for day in days if day.left_at(HOURS) > 0.05 * day.animals]
    assert len(short) > 60
    warned = [any((said := told(day, hour)) and said[2] >= 0.5 for hour in (6, 7, 8, 8.5)) for day in short]
    assert sum(warned) / len(warned) >= 0.95


def test_a_day_that_will_do_is_seldom_alarmed_three_hours_before_its_end(days: list[Day]) -> None:
    easy = [day for day in days if len(day.done) == day.animals and day.done[-1] < DAWN + timedelta(hours=HOURS - 1)]
    assert len(easy) > 60
    alarmed = [bool((said := told(day, 8.5)) and said[2] >= 0.5) for day in easy]
    assert sum(alarmed) / len(alarmed) <= 0.1


def test_the_range_grows_narrow_towards_the_end(days: list[Day]) -> None:
    def width(hour: float) -> float:
        found = [said for day in days if (said := told(day, hour))]
        return sum(high - low for low, high, _ in found) / len(found)

    assert width(3) > width(6) > width(9) > width(11)


def test_the_edges() -> None:
    steady = Rate(10, 25)
    assert forecast(0, 5, steady) == forecast(0, 0, steady)
    assert (forecast(7, 0, steady).low, forecast(7, 0, steady).risk) == (7, 1.0)
    plenty = forecast(1000, 1, steady)
    assert 980 <= plenty.low < plenty.high <= 1000
    assert plenty.alarm == "alarm"
    assert forecast(5, 10, steady).alarm == "none"
    now = DAWN + timedelta(hours=1)
    assert rate([], DAWN, now) is None
    assert rate([DAWN] * 2, DAWN, now) is None
    planned = rate([], DAWN, DAWN, 20)
    assert planned
    assert planned.mean == pytest.approx(20)
    stalled = rate([DAWN + timedelta(minutes=n) for n in range(30)], DAWN, DAWN + timedelta(hours=5))
    assert stalled
    assert stalled.mean < 6, "nothing was done for hours"
