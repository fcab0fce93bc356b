"""Who works together at a site, their PINs, and how the day goes by what boxes have told."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from argon2 import PasswordHasher

from shared.clock import to_ms
from shared.ids import new_id
from tests.cloud_hub import CloudHub


def person(hub: CloudHub, site: str, name: str) -> str:
    new = {"name": name, "language": "ar", "pin": "271828"}
    return str(hub.admin.post(f"/api/v1/sites/{site}/executors", new)["id"])


def test_a_team_has_people_of_its_site_and_one_of_them_leads_it(hub: CloudHub) -> None:
    site, elsewhere = hub.site(), hub.site()
    karim, salim, stranger = person(hub, site, "Karim"), person(hub, site, "Salim"), person(hub, elsewhere, "Omar")
    path = f"/api/v1/sites/{site}/teams"
    for wrong in ({"members": [karim, stranger]}, {"members": [karim], "lead_id": salim}):
        assert hub.admin.post(path, {"name": "North", **wrong}, status=400)["code"] == "bad_input"
    assert hub.admin.get(path) == []
    north = hub.admin.post(path, {"name": "North", "members": [karim, salim], "lead_id": salim})
    assert (north["lead_id"], north["members"]) == (salim, [karim, salim])
    south = hub.admin.post(path, {"name": "South", "members": [salim], "lead_id": salim})
    assert [(team["name"], team["members"], team["lead_id"]) for team in hub.admin.get(path)] == [
        ("North", [karim], None), ("South", [salim], salim)]
    changed = {"name": "South", "members": [karim, salim], "lead_id": karim}
    assert hub.admin.ask("PUT", f"/api/v1/teams/{south['id']}", changed)["lead_id"] == karim
    hub.admin.ask("DELETE", f"/api/v1/sites/{site}/executors/{karim}")
    hub.admin.ask("DELETE", f"/api/v1/teams/{north['id']}")
    (left,) = hub.admin.get(path)
    assert (left["members"], left["lead_id"]) == ([salim], None)
    hub.admin.ask("DELETE", f"/api/v1/teams/{uuid4()}", status=404)


def test_a_new_pin_takes_the_place_of_the_old_one_at_the_boxes(hub: CloudHub) -> None:
    site = hub.site()
    karim, box = person(hub, site, "Karim"), hub.box(site)
    path = f"/api/v1/sites/{site}/executors/{karim}/pin"
    hub.admin.ask("PUT", path, {"pin": "12"}, status=400)
    hub.admin.ask("PUT", f"/api/v1/sites/{hub.site()}/executors/{karim}/pin", {"pin": "161803"}, status=404)
    hub.admin.ask("PUT", path, {"pin": "161803"})
    box.sync()
    told = box.told("executor")[UUID(karim)]
    assert PasswordHasher().verify(told["pin_hash"], "161803")
    assert (told["name"], told["language"]) == ("Karim", "ar")


def test_the_day_is_planned_from_capacity_against_sunset(hub: CloudHub) -> None:
    place = {"timezone": "UTC", "languages": ["ar"], "latitude": 0.0, "longitude": 0.0}
    site = hub.admin.post("/api/v1/sites", {"name": "Equator", **place})["id"]
    for n in range(4):
        hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": f"S{n}", "species": "sheep"})
    donor = hub.donor()
    orders = [hub.allocated_order(donor, site, "sheep", f"Name {n}") for n in range(3)]
    now = hub.platform.clock.now()
    hub.admin.ask("PUT", f"/api/v1/sites/{site}/eid", {"day": now.date().isoformat(), "per_hour": 2})
    assert hub.admin.get(f"/api/v1/sites/{site}/day")["remaining"] == 3, "nobody has a share in the fourth"

    box = hub.box(site)
    opened = {"wall_ms": to_ms(now - timedelta(seconds=1)), "mono_ms": 5, "boot": "b"}
    for order, state in zip(orders, ("recorded", "opened"), strict=False):
        box.write("sacrifice", new_id(), box.opening(animal_id=order["animals"][0]["id"], opened=opened, state=state))
    box.sync()
    day = hub.admin.get(f"/api/v1/sites/{site}/day")
    assert (day["remaining"], day["planned_per_hour"]) == (2, 2)
    assert day["ends"].startswith((now + timedelta(days=3)).date().isoformat())
    assert day["at_end"]["low"] <= day["at_end"]["likely"] <= day["at_end"]["high"] <= 2
    assert day["needed_per_hour"] < 2
