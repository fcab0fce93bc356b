"""The days and hours in which a sacrifice counts: from the end of the Eid prayer to a sunset, at its site."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from astral import Observer
from astral.sun import sunrise, sunset

from shared.clock import Reading, from_ms

Timing = Literal["inside", "outside", "unsure"]

PRAYED = timedelta(minutes=45)
"""After sunrise, where nobody has said when the prayer is over: it may begin when the sun is a spear's length up
(some 15 to 20 minutes), and with its sermon takes about half an hour."""


class Eid(msgspec.Struct, frozen=True):
    """What a site knows of its Eid.

    ``day`` is 10 Dhu al-Hijja by the moon that was sighted for its country, ``begins`` the local time at which prayer
    and sermon are over there (None: reckoned from the sun), ``days`` how many days count (four, or three as the Hanafi
    school has it). ``latitude`` and ``longitude`` are degrees, WGS84; ``zone`` is an IANA name.
    """

    day: date
    zone: str
    latitude: float
    longitude: float
    begins: time | None = None
    days: int = 4


class Window(msgspec.Struct, frozen=True):
    """From when until when a sacrifice counts."""

    begins: datetime
    ends: datetime

    def timing(self, earliest: datetime, latest: datetime) -> Timing:
        """Where something lies that happened between two moments; ``unsure`` where it may be either."""
        if self.begins <= earliest and latest < self.ends:
            return "inside"
        return "outside" if latest < self.begins or self.ends <= earliest else "unsure"

    def timing_of(self, opened: Reading, captured: Reading, uncertain_ms: int | None) -> Timing:
        """Where a sacrifice lies that was opened and then filmed, as one box read its clocks.

        ``uncertain_ms`` is by how much its wall clock may have been off (None: nobody knows).
        """
        if uncertain_ms is None or opened.boot != captured.boot:
            return "unsure"
        off = timedelta(milliseconds=uncertain_ms)
        return self.timing(from_ms(opened.wall_ms) - off, from_ms(captured.wall_ms) + off)


def window(eid: Eid) -> Window | None:
    """None where the sun does not rise or set on these days: then a person has to say."""
    zone, last = ZoneInfo(eid.zone), eid.day + timedelta(days=eid.days - 1)
    place = Observer(eid.latitude, eid.longitude)
    try:
        ends = sunset(place, last, tzinfo=zone)
        begins = sunrise(place, eid.day, tzinfo=zone) + PRAYED
    except ValueError:  # a polar day or night
        return None
    if eid.begins is not None:
        begins = datetime.combine(eid.day, eid.begins, zone)
    return Window(begins, ends)


def daylight(latitude: float, longitude: float, zone: str, day: date) -> Window | None:
    """From sunrise to sunset; None where the sun does not do both on this day."""
    place = Observer(latitude, longitude)
    try:
        return Window(*(sun(place, day, tzinfo=ZoneInfo(zone)) for sun in (sunrise, sunset)))
    except ValueError:  # a polar day or night
        return None
