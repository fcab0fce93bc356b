"""The plan of a day against the sun: what is done, what is left, and what will be left at sunset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from shared.domain.eid import Window, daylight
from shared.domain.forecast import Alarm, Forecast, Rate, forecast, rate


class Where(msgspec.Struct, frozen=True):
    """Degrees, WGS84, and an IANA name."""

    latitude: float
    longitude: float
    timezone: str


class Plan(msgspec.Struct, frozen=True):
    """``done`` today, and ``remaining``: animals that have names, count, and are not sacrificed.

    ``goal`` is how many are to be done today, where the rest of the daylight of all days is used alike. ``per_hour`` is
    the rate of today, ``planned_per_hour`` the site's plan, ``needed_per_hour`` what it takes to end in time.
    ``at_sunset`` is what will be left of the remaining at today's sunset, ``at_end`` at that of the last day (the same
    on that day, and where nobody has said when it is Eid). None: nobody knows, or the sun is down.
    """

    done: int
    remaining: int
    goal: int | None
    per_hour: float | None
    planned_per_hour: int | None
    needed_per_hour: float | None
    sunset: datetime | None
    ends: datetime | None
    at_sunset: Forecast | None
    at_end: Forecast | None
    alarm: Alarm


class Work(msgspec.Struct, frozen=True):
    """When each sacrifice was opened, when those that are done were, and how many animals remain."""

    opened: Sequence[datetime]
    done: Sequence[datetime]
    remaining: int


def plan(work: Work, where: Where | None, eid: Window | None, planned: int | None, zone: tzinfo, now: datetime) -> Plan:
    """``where`` the site is (None: nobody has said), its ``eid``, and how many animals an hour are ``planned``."""
    today = now.astimezone(zone).date()
    begun = [moment for moment in work.opened if moment.astimezone(zone).date() == today]
    done = sorted(moment for moment in work.done if moment.astimezone(zone).date() == today)
    days = [_left(day, now) for day in _days(where, eid, today)]
    hours = [_hours(day) for day in days]
    is_day = bool(days) and days[0].ends.astimezone(zone).date() == today and hours[0] > 0
    speed = rate(done, min(begun, default=now), now, planned)

    def left_after(hours: float) -> Forecast | None:
        return forecast(work.remaining, hours, speed) if speed and hours > 0 else None

    total = sum(hours)
    at_sunset, at_end = left_after(hours[0]) if is_day else None, left_after(total)
    return Plan(
        done=len(done),
        remaining=work.remaining,
        goal=len(done) + math.ceil(work.remaining * hours[0] / total) if is_day else None,
        per_hour=_mean(rate(done, min(begun, default=now), now)),
        planned_per_hour=planned,
        needed_per_hour=work.remaining / total if total else None,
        sunset=days[0].ends if is_day else None,
        ends=days[-1].ends if total else None,
        at_sunset=at_sunset,
        at_end=at_end,
        alarm=at_end.alarm if at_end else "none",
    )


def _mean(speed: Rate | None) -> float | None:
    return speed.mean if speed else None


def _days(where: Where | None, eid: Window | None, today: date) -> Sequence[Window]:
    """The daylight of today and of the days that follow, as far as sacrifices count; without Eid, that of today."""
    if where is None:
        return []
    last = eid.ends.astimezone(ZoneInfo(where.timezone)).date() if eid else today
    span = range((last - today).days + 1)
    suns = [daylight(where.latitude, where.longitude, where.timezone, today + timedelta(days=n)) for n in span]
    days = [sun for sun in suns if sun]
    if eid is None:
        return days
    return [
        Window(max(day.begins, eid.begins), day.ends) for day in days if day.ends > eid.begins and day.begins < eid.ends
    ]


def _left(day: Window, now: datetime) -> Window:
    return Window(min(max(day.begins, now), day.ends), day.ends)


def _hours(day: Window) -> float:
    return (day.ends - day.begins).total_seconds() / 3600
