"""Who is on which animal is fixed before it is slaughtered, and stays so whoever writes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from shared.ids import new_id
from tests.cloud_hub import CloudHub, Person


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


def freeze(hub: CloudHub, site: str, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub.admin.post(f"/api/v1/sites/{site}/freeze", body)
    return found


def test_no_share_comes_or_goes_once_its_animal_is_frozen(hub: CloudHub, donor: Person) -> None:
    site = hub.site(C1="cow", C2="cow")
    first = hub.allocated_order(donor, site, "cow", "a", "b")
    (frozen,) = freeze(hub, site)
    assert (frozen["id"], frozen["tag"]) == (first["animals"][0]["id"], "C1")
    assert freeze(hub, site)[0]["frozen"] == frozen["frozen"], "again changes nothing"

    later = hub.allocated_order(donor, site, "cow", "c")
    assert [animal["tag"] for animal in later["animals"]] == ["C2"], "five seats of C1 are open, and stay so"
    for who in (donor, hub.admin):
        refused = who.post(f"/api/v1/orders/{first['id']}/cancel", status=409)
        assert refused["code"] == "bad_transition"
    assert donor.get(f"/api/v1/orders/{first['id']}")["state"] == "allocated"
    assert donor.post(f"/api/v1/orders/{later['id']}/cancel")["state"] == "refunded"


def test_the_database_itself_keeps_the_seats_of_a_frozen_animal(hub: CloudHub, donor: Person) -> None:
    site = hub.site(C1="cow")
    order = hub.allocated_order(donor, site, "cow", "a")
    share, animal = order["shares"][0]["id"], order["animals"][0]["id"]
    freeze(hub, site, animals=[animal])
    given = {"share": uuid4(), "animal": UUID(animal)}
    for statement in (
        "INSERT INTO executors.seats VALUES (:share, :animal, 2, 7) RETURNING 1",
        "UPDATE executors.seats SET number = 3 WHERE animal_id = :animal RETURNING 1",
        "DELETE FROM executors.seats WHERE animal_id = :animal RETURNING 1",
    ):
        with pytest.raises(IntegrityError, match="frozen"):
            hub.sql(statement, **given)
    assert hub.sql("SELECT share_id FROM executors.seats WHERE animal_id = :id", id=UUID(animal)) == [UUID(share)]


def test_of_freezing_and_calling_off_at_once_one_is_first(hub: CloudHub, donor: Person) -> None:
    for _ in range(5):
        site = hub.site(S1="sheep")
        order = hub.allocated_order(donor, site, "sheep", "a")
        with ThreadPoolExecutor(2) as desks:
            frozen = desks.submit(freeze, hub, site)
            ended = desks.submit(hub.admin.http.post, f"/api/v1/orders/{order['id']}/cancel")
        seats = hub.sql("SELECT 1 FROM executors.seats WHERE share_id = :id", id=UUID(order["shares"][0]["id"]))
        state = donor.get(f"/api/v1/orders/{order['id']}")["state"]
        if frozen.result():
            assert (ended.result().status_code, seats, state) == (409, [1], "allocated")
        else:
            assert (ended.result().status_code, seats, state) == (200, [], "refunded")


def test_boxes_are_told_and_say_what_they_knew(hub: CloudHub, donor: Person) -> None:
    site = hub.site(S1="sheep")
    order = hub.allocated_order(donor, site, "sheep", "a")
    animal, box = order["animals"][0]["id"], hub.box(site)
    box.sync()
    assert "frozen" not in box.told("animal")[UUID(animal)]
    freeze(hub, site)
    box.sync()
    assert box.told("animal")[UUID(animal)]["frozen"] is True
    thawed = hub.admin.post(f"/api/v1/animals/{animal}/thaw", {"reason": "It died in the night."})
    assert thawed["frozen"] is None
    box.sync()
    assert "frozen" not in box.told("animal")[UUID(animal)]
    assert hub.sql("SELECT reason FROM executors.thaws WHERE animal_id = :id", id=UUID(animal)) == [
        "It died in the night."]

    sacrifice = new_id()
    box.write("sacrifice", sacrifice, {**box.opening(animal_id=animal), "frozen": False})
    box.sync()
    here = hub.admin.get(f"/api/v1/sites/{site}/animals")[0]
    assert here["frozen"], "what was sacrificed is frozen by that"
    assert hub.sql("SELECT frozen FROM executors.sacrifices WHERE id = :id", id=sacrifice) == [False]
    refused = hub.admin.post(f"/api/v1/animals/{animal}/thaw", {"reason": "It died in the night."}, status=409)
    assert refused["code"] == "bad_transition"


def test_what_cannot_be_frozen_or_thawed_is_refused(hub: CloudHub, donor: Person) -> None:
    site, elsewhere = hub.site(S1="sheep"), hub.site(S2="sheep")
    empty, foreign = (hub.admin.get(f"/api/v1/sites/{each}/animals")[0]["id"] for each in (site, elsewhere))
    path = f"/api/v1/sites/{site}/freeze"
    assert freeze(hub, site) == []
    assert hub.admin.post(path, {"animals": [empty]}, status=409)["code"] == "bad_transition"
    assert hub.admin.post(path, {"animals": [foreign]}, status=404)
    assert hub.admin.post(path, {"animals": []}, status=400)
    assert donor.post(path, {}, status=403)
    for reason in ("", "      "):
        hub.admin.post(f"/api/v1/animals/{empty}/thaw", {"reason": reason}, status=400)
