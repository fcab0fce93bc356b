"""The days and hours in which sacrifices count, as a site learns of them: it warns, and never stops anybody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.clock import SystemClock
from shared.ids import new_id
from tests.box import Box, Tablet, running, until
from tests.hub import Hub, serving
from tests.unit.sync.chains import SITE

Site = tuple[Hub, Box, Tablet, list[UUID]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    hub = Hub()
    hub.clock.wall_ms = SystemClock().read().wall_ms
    with serving(hub), running(tmp_path_factory.mktemp("box"), hub, animals=4) as (box, tablet, animals):
        yield hub, box, tablet, animals


def say(site: Site, days_ago: int | None) -> dict[str, Any]:
    """The hub says when the first day of Eid was; what the box then tells of it."""
    hub, _, tablet, _ = site
    fields: dict[str, Any] = {"name": "Mirpur", "timezone": "Asia/Karachi", "languages": ["en"]}
    day = ""
    if days_ago is not None:
        day = str((datetime.now(UTC) - timedelta(days=days_ago)).date())
        fields |= {"latitude": 33.148, "longitude": 73.752, "eid_day": day, "eid_begins": "07:10:00", "eid_days": 4}
    hub.publish("site", SITE, fields)

    def told() -> dict[str, Any] | None:
        status = dict(tablet.ask("GET", "/api/v1/status").json())
        return status if ((status["eid"] or {}).get("begins") or "")[:10] == day else None

    return until(told, what="the Eid")


def page(site: Site, path: str) -> str:
    return str(site[2].ask("GET", path).text)


def test_as_long_as_nobody_has_said_nothing_is_flagged(site: Site) -> None:
    _, box, tablet, animals = site
    assert say(site, None)["eid"] is None
    sacrifice = tablet.open_sacrifice(animals[0])
    tablet.upload(sacrifice, new_id(), b"some video" * 100)
    assert [video["timing"] for video in tablet.verdicts(sacrifice)] == [None]
    assert "data-season" not in page(site, "/animals")
    assert "the hub has not said" in box.command("status").stdout


@pytest.mark.parametrize(("days_ago", "season", "timing"), [
    (-10, "before", "outside"), (1, "open", "inside"), (30, "over", "outside"),
])  # fmt: skip
def test_what_is_recorded_outside_is_kept_and_flagged(site: Site, days_ago: int, season: str, timing: str) -> None:
    _, box, tablet, animals = site
    told = say(site, days_ago)
    assert told["eid"]["season"] == season
    assert told["eid"]["begins"].endswith("T07:10:00+05:00")
    assert told["clock"]["uncertain_s"] < 600
    animal = animals[["before", "open", "over"].index(season) + 1]
    sacrifice = tablet.open_sacrifice(animal)
    tablet.upload(sacrifice, new_id(), b"some video" * 100)
    assert {video["timing"] for video in tablet.verdicts(sacrifice)} == {timing}
    for path in ("/animals", f"/animals/{animal}"):
        assert (f'data-season="{season}"' in page(site, path)) == (season != "open")
    assert ('data-timing="outside"' in page(site, f"/animals/{animal}")) == (timing == "outside")
    assert "sacrifices count from" in box.command("status").stdout.replace("\n", " ")
