"""When sacrifices count at this site, and whether a recording lies in that time. It warns, and never stops anybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from edge.db import Tx, one
from shared.clock import from_ms
from shared.domain.eid import Eid, Timing, Window, window

Season = Literal["before", "open", "over"]
"""Where the clock of the box stands to the time in which sacrifices count."""


def season(found: Window, now: datetime) -> Season:
    return "before" if now < found.begins else "open" if now < found.ends else "over"


def its_window(tx: Tx) -> Window | None:
    """When sacrifices count here, as far as the hub has said."""
    site = one(tx, """
        SELECT eid_day AS day, timezone AS zone, latitude, longitude, eid_begins AS begins, eid_days AS days
        FROM site JOIN node ON node.site_id = site.id""")
    if site is None or None in (site["day"], site["zone"], site["latitude"], site["longitude"]):
        return None
    return window(msgspec.convert({name: value for name, value in site.items() if value is not None}, Eid))


def timing(found: Window | None, video: Mapping[str, Any]) -> Timing | None:
    """Of a row of a video; None as long as nobody has said when it is Eid here.

    The act lies between the readings at which the sacrifice was ``opened`` and the video ``captured``;
    ``uncertain_ms`` is by how much the clock may have been off (None: nobody knows).
    """
    if found is None:
        return None
    opened, captured = json.loads(video["opened"]), json.loads(video["captured"])
    if video["uncertain_ms"] is None or opened["boot"] != captured["boot"]:
        return "unsure"
    off = timedelta(milliseconds=video["uncertain_ms"])
    return found.timing(from_ms(opened["wall_ms"]) - off, from_ms(captured["wall_ms"]) + off)

