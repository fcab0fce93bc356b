from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from math import acos, cos, degrees, pi, radians, sin, tan
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.eid import PRAYED, Eid, Timing, Window, window

MIRPUR = Eid(date(2027, 5, 16), "Asia/Karachi", 33.148, 73.752)
PKT = ZoneInfo("Asia/Karachi")


def by_noaa(day: date, latitude: float, longitude: float) -> tuple[datetime, datetime]:
    """Sunrise and sunset by the short formula of NOAA's "General Solar Position Calculations", good to minutes."""
    turn = 2 * pi / 365 * (day.timetuple().tm_yday - 1 - longitude / 360)
    clock = 229.18 * (
        0.000075 + 0.001868 * cos(turn) - 0.032077 * sin(turn) - 0.014615 * cos(2 * turn) - 0.040849 * sin(2 * turn)
    )
    tilt = (
        0.006918 - 0.399912 * cos(turn) + 0.070257 * sin(turn) - 0.006758 * cos(2 * turn) + 0.000907 * sin(2 * turn)
        - 0.002697 * cos(3 * turn) + 0.00148 * sin(3 * turn)
    )  # fmt: skip
    north = radians(latitude)
    half = degrees(acos(cos(radians(90.833)) / (cos(north) * cos(tilt)) - tan(north) * tan(tilt)))
    midnight = datetime.combine(day, time(), UTC)
    return (
        midnight + timedelta(minutes=720 - 4 * (longitude + half) - clock),
        midnight + timedelta(minutes=720 - 4 * (longitude - half) - clock),
    )


@pytest.mark.parametrize("eid", [
    MIRPUR,
    Eid(date(2026, 5, 27), "Africa/Algiers", 36.75, 3.06),
    Eid(date(2027, 5, 16), "Pacific/Auckland", -36.85, 174.76),
    Eid(date(2027, 5, 16), "America/Los_Angeles", 37.77, -122.42),
])  # fmt: skip
def test_the_sun_of_the_site_says_when(eid: Eid) -> None:
    """Also on the far sides of the date line, where the day there is not the day in UTC."""
    found = window(eid)
    assert found is not None
    rise, _ = by_noaa(eid.day, eid.latitude, eid.longitude)
    _, set_ = by_noaa(eid.day + timedelta(days=3), eid.latitude, eid.longitude)
    assert abs(found.begins - PRAYED - rise) < timedelta(minutes=2)
    assert abs(found.ends - set_) < timedelta(minutes=2)
    assert found.begins.date() == eid.day
    assert found.ends.date() == eid.day + timedelta(days=3)


def test_what_the_site_says_goes_before_the_sun() -> None:
    told = window(msgspec.structs.replace(MIRPUR, begins=time(7, 10), days=3))
    assert told is not None
    assert told.begins == datetime(2027, 5, 16, 7, 10, tzinfo=PKT)
    assert told.ends.astimezone(PKT).date() == date(2027, 5, 18)


def test_where_the_sun_does_not_set_a_person_has_to_say() -> None:
    assert window(Eid(date(2027, 6, 16), "Europe/Oslo", 69.65, 18.96)) is None


BEGINS, ENDS = datetime(2027, 5, 16, 2, tzinfo=UTC), datetime(2027, 5, 19, 14, tzinfo=UTC)


@pytest.mark.parametrize(("earliest", "latest", "timing"), [
    (0, 1, "inside"), (-2, -1, "outside"), (84, 85, "outside"),
    (-1, 1, "unsure"), (83, 84, "unsure"), (-9, 99, "unsure"),
])  # fmt: skip
def test_a_moment_that_is_not_certain_is_called_so(earliest: int, latest: int, timing: Timing) -> None:
    found = Window(BEGINS, ENDS).timing(BEGINS + timedelta(hours=earliest), BEGINS + timedelta(hours=latest))
    assert found == timing


@given(st.integers(-200, 200), st.integers(0, 200), st.integers(0, 200))
def test_knowing_less_never_makes_it_certain_otherwise(start: int, length: int, more: int) -> None:
    its, known = Window(BEGINS, ENDS), BEGINS + timedelta(hours=start)
    sharp = its.timing(known, known + timedelta(hours=length))
    vague = its.timing(known - timedelta(hours=more), known + timedelta(hours=length + more))
    assert vague in (sharp, "unsure")
