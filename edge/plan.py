"""The plan of the day against the sun: what is done, what is left, and what will be left at sunset."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from edge import eligible
from edge.db import Tx
from edge.eid import its_window
from edge.node import its_site, its_zone
from shared.clock import from_ms
from shared.domain.eid import Window, daylight
from shared.domain.forecast import Alarm, Forecast, Rate, forecast, rate


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


def read(tx: Tx, now: datetime) -> Plan:
    """Of the box's own records."""
    site, zone = its_site(tx), its_zone(tx)
    today = now.astimezone(zone).date()
    begun, done = _work(tx, lambda moment: moment.astimezone(zone).date() == today)
    remaining = _remaining(tx, site)
    days = [_left(day, now) for day in _days(site, its_window(tx), today)]
    hours = [_hours(day) for day in days]
    is_day = bool(days) and days[0].ends.astimezone(zone).date() == today and hours[0] > 0
    planned = site.get("per_hour")
    speed = rate(done, min(begun, default=now), now, planned)

    def left_after(hours: float) -> Forecast | None:
        return forecast(remaining, hours, speed) if speed and hours > 0 else None

    total = sum(hours)
    at_sunset, at_end = left_after(hours[0]) if is_day else None, left_after(total)
    return Plan(
        done=len(done),
        remaining=remaining,
        goal=len(done) + math.ceil(remaining * hours[0] / total) if is_day else None,
        per_hour=_mean(rate(done, min(begun, default=now), now)),
        planned_per_hour=planned,
        needed_per_hour=remaining / total if total else None,
        sunset=days[0].ends if is_day else None,
        ends=days[-1].ends if total else None,
        at_sunset=at_sunset,
        at_end=at_end,
        alarm=at_end.alarm if at_end else "none",
    )


def _mean(speed: Rate | None) -> float | None:
    return speed and speed.mean


def _work(tx: Tx, is_today: Callable[[datetime], bool]) -> tuple[list[datetime], list[datetime]]:
    """When sacrifices were opened today, and when those that are done were."""
    rows = tx.query("""
        SELECT opened ->> 'wall_ms' AS opened, (
            SELECT min(captured ->> 'wall_ms') FROM video WHERE video.sacrifice_id = sacrifice.id) AS done
        FROM sacrifice""")
    times = [(from_ms(row["opened"]), from_ms(row["done"]) if row["done"] else None) for row in rows]
    begun = [opened for opened, _ in times if is_today(opened)]
    return begun, sorted(done for _, done in times if done and is_today(done))


def _remaining(tx: Tx, site: Mapping[str, Any]) -> int:
    rows = tx.query("""
        SELECT species, age_months, defects FROM animal
        WHERE EXISTS (SELECT 1 FROM share WHERE share.animal_id = animal.id)
        AND NOT EXISTS (SELECT 1 FROM sacrifice WHERE sacrifice.animal_id = animal.id AND state <> 'opened')""")
    return sum(not eligible.reasons(site, row) for row in rows)


def _days(site: Mapping[str, Any], eid: Window | None, today: date) -> Sequence[Window]:
    """The daylight of today and of the days that follow, as far as sacrifices count; without Eid, that of today."""
    if site.get("latitude") is None or site.get("longitude") is None or site.get("timezone") is None:
        return []
    zone = ZoneInfo(site["timezone"])
    last = eid.ends.astimezone(zone).date() if eid else today
    span = range((last - today).days + 1)
    suns = [daylight(site["latitude"], site["longitude"], site["timezone"], today + timedelta(days=n)) for n in span]
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
