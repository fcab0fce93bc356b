"""The plan of the day as the lead of a site sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from shared.ids import new_id
from tests.box import running, until
from tests.hub import Hub, serving
from tests.unit.sync.chains import SITE


def test_the_lead_sees_what_will_be_left_at_sunset(tmp_path: Path) -> None:
    """At noon wherever it is noon now, with more animals than a planned one an hour can do."""
    now = datetime.now(UTC)
    east = 12 - now.hour
    noon = {"timezone": f"Etc/GMT{-east:+d}" if east else "Etc/GMT", "latitude": 0.0, "longitude": east * 15.0}
    begun = (now + timedelta(hours=east, days=-2)).date()
    eid = {"eid_day": str(begun), "eid_days": 3, "per_hour": 1}
    with serving(Hub()) as hub, running(tmp_path / "box", hub, animals=12) as (box, tablet, animals):
        hub.publish("site", SITE, {"name": "Mirpur", "languages": ["en"]} | noon | eid)
        until(lambda: tablet.ask("GET", "/api/v1/plan").json()["ends"], what="the sun")
        tablet.upload(tablet.open_sacrifice(animals[0]), new_id(), b"some video" * 100)
        plan = tablet.ask("GET", "/api/v1/plan").json()
        assert (plan["done"], plan["remaining"], plan["planned_per_hour"]) == (1, 11, 1)
        assert plan["alarm"] in ("watch", "alarm")
        assert plan["at_end"]["high"] >= plan["at_end"]["low"]
        page = tablet.ask("GET", "/overview").text
        assert f'data-alarm="{plan["alarm"]}"' in page
        assert "before the last sunset" in page
        assert httpx.get(f"{box.url}/api/v1/plan").status_code == 401
