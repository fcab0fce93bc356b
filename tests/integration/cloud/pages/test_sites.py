"""The pages of sites: what an admin does there is done, an auditor looks on, and nobody else is let in."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from demo.browser import Browser
from tests.cloud_hub import CloudHub


@pytest.fixture(scope="module")
def place(hub: CloudHub) -> str:
    """A site with two cows of one share each, and two sheep."""
    site = hub.admin.post("/api/v1/sites", {
        "name": "Blida", "timezone": "Africa/Algiers", "languages": ["ar"], "latitude": 36.47, "longitude": 2.83,
        "country": "DZ",
    })["id"]  # fmt: skip
    donor = hub.donor()
    for tag in ("C1", "C2"):
        hub.sql("UPDATE executors.animals SET frozen = now() WHERE site_id = :id RETURNING 1", id=UUID(site))
        hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": tag, "species": "cow"})
        hub.allocated_order(donor, site, "cow", f"Somebody on {tag}")
    hub.sql("UPDATE executors.animals SET frozen = NULL WHERE site_id = :id RETURNING 1", id=UUID(site))
    for tag in ("S1", "S2"):
        hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": tag, "species": "sheep"})
    return str(site)


@pytest.fixture(scope="module")
def staff(hub: CloudHub) -> Callable[[str], Browser]:
    def of(role: str) -> Browser:
        browser = hub.browser()
        browser.cookies.set("session", hub.page_session(hub.staff(role).id))
        return browser

    return of


@pytest.fixture(scope="module")
def admin(staff: Callable[[str], Browser]) -> Browser:
    return staff("admin")


def test_a_plan_is_looked_at_and_carried_out(hub: CloudHub, admin: Browser, place: str) -> None:
    page = admin.get(f"/sites/{place}").text
    assert page.count("data-move") == 1
    both = admin.get(f"/sites/{place}?convert=1").text
    assert both.count("data-move") == 2
    plan = hub.admin.get(f"/api/v1/sites/{place}/filling")["plan"]
    assert f'value="{plan}"' in page
    stale = admin.post(f"/sites/{place}/filling", data={"plan": "0" * 64})
    assert (stale.status_code, "Look at the plan again" in stale.text) == (412, True)
    done = admin.post(f"/sites/{place}/filling", data={"plan": plan})
    assert (done.status_code, done.text.count("data-move")) == (200, 0)
    frozen = admin.post(f"/sites/{place}/freeze")
    assert "1 animal is fixed" in frozen.text
    assert [animal["tag"] for animal in hub.admin.get(f"/api/v1/sites/{place}/animals") if animal["frozen"]] == ["C1"]


def test_eid_is_said_for_a_country_and_for_a_site(hub: CloudHub, admin: Browser, place: str) -> None:
    assert "2027" in admin.post("/sites/moon", data={"country": "dz", "day": "2027-05-16"}).text
    assert admin.post("/sites/moon", data={"country": "dz", "day": "soon"}).status_code == 400
    admin.post(f"/sites/{place}/eid", data={"day": "", "begins": "07:10", "days": "3", "per_hour": "40"})
    found = hub.admin.get(f"/api/v1/sites/{place}")
    assert found["eid_begins"] == "2027-05-16T07:10:00+01:00"
    assert found["eid_ends"].startswith("2027-05-18")
    assert hub.admin.get(f"/api/v1/sites/{place}/day")["planned_per_hour"] == 40
    assert 'value="07:10"' in admin.get(f"/sites/{place}").text, "saving the form again changes nothing"
    wrong = admin.post(f"/sites/{place}/eid", data={"days": "9"})
    assert (wrong.status_code, "Please look at what you typed" in wrong.text) == (400, True)


def test_people_teams_and_boxes(hub: CloudHub, admin: Browser, place: str) -> None:
    for name in ("Karim", "Salim"):
        admin.post(f"/sites/{place}/people", data={"name": name, "language": "ar", "pin": "271828"})
    path = f"/api/v1/sites/{place}"
    karim, salim = (person["id"] for person in hub.admin.get(f"{path}/executors"))
    refused = admin.post(f"/sites/{place}/people", data={"name": "Omar", "language": "ar", "pin": "1"})
    assert refused.status_code == 400
    before = hub.sql("SELECT pin_hash FROM executors.executors WHERE id = :id", id=UUID(karim))
    admin.post(f"/sites/{place}/people/{karim}/pin", data={"pin": "161803"})
    assert hub.sql("SELECT pin_hash FROM executors.executors WHERE id = :id", id=UUID(karim)) != before
    page = admin.post(f"/sites/{place}/teams", data={"name": "North", "members": [karim, salim], "lead_id": salim}).text
    (team,) = hub.admin.get(f"{path}/teams")
    assert (team["lead_id"], team["members"], "data-team" in page) == (salim, [karim, salim], True)
    admin.post(f"/sites/{place}/teams/{team['id']}/remove")
    admin.post(f"/sites/{place}/people/{salim}/remove")
    assert hub.admin.get(f"{path}/teams") == []
    assert [person["id"] for person in hub.admin.get(f"{path}/executors")] == [karim]

    assert "data-code" in admin.post(f"/sites/{place}/code").text
    assert "data-code" not in admin.get(f"/sites/{place}").text
    box = hub.box(place).identity.node
    for act, is_out in (("revoke", True), ("reinstate", False)):
        admin.post(f"/sites/{place}/boxes/{box}/{act}")
        assert (hub.admin.get(f"{path}/nodes")[0]["revoked"] is not None) is is_out


def test_an_auditor_looks_on(hub: CloudHub, staff: Callable[[str], Browser], place: str) -> None:
    auditor = staff("auditor")
    page = auditor.get(f"/sites/{place}")
    assert page.status_code == 200
    assert f'action="/sites/{place}' not in page.text
    assert auditor.post(f"/sites/{place}/freeze").status_code == 403
    assert auditor.get("/sites").status_code == 200


@pytest.mark.parametrize("path", ["/sites", "/sites/{place}"])
def test_nobody_else_is_let_in(hub: CloudHub, staff: Callable[[str], Browser], place: str, path: str) -> None:
    assert staff("driver").get(path.format(place=place)).status_code == 403
    stranger: httpx.Response = hub.browser().get(path.format(place=place))
    assert stranger.url.path == "/sign-in"
