"""When sacrifices count at this site, and whether a recording lies in that time. It warns, and never stops anybody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from edge.db import Tx
from edge.node import its_site
from shared.clock import Reading
from shared.domain.eid import Eid, Timing, Window, window

Season = Literal["before", "open", "over"]
"""Where the clock of the box stands to the time in which sacrifices count."""


def season(found: Window, now: datetime) -> Season:
    return "before" if now < found.begins else "open" if now < found.ends else "over"


def its_window(tx: Tx) -> Window | None:
    """When sacrifices count here, as far as the hub has said."""
    site = its_site(tx)
    names = {"eid_day": "day", "timezone": "zone", "latitude": "latitude", "longitude": "longitude",
             "eid_begins": "begins", "eid_days": "days"}  # fmt: skip
    told = {ours: site[name] for name, ours in names.items() if site.get(name) is not None}
    if not {"day", "zone", "latitude", "longitude"} <= told.keys():
        return None
    return window(msgspec.convert(told, Eid))


def timing(found: Window | None, video: Mapping[str, Any]) -> Timing | None:
    """Of a row of a video; None as long as nobody has said when it is Eid here.

    The act lies between the readings at which the sacrifice was ``opened`` and the video ``captured``.
    """
    if found is None:
        return None
    opened, captured = (msgspec.json.decode(video[name], type=Reading) for name in ("opened", "captured"))
    return found.timing_of(opened, captured, video["uncertain_ms"])
