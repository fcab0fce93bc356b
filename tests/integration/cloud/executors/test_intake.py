"""Animals that boxes write down: at the hub, at the other boxes of the site, and where two say different things."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.domain.animal import tag_id
from tests.cloud_hub import Box, CloudHub
from tests.filmed import seal

READING = {"wall_ms": 1_780_000_000_000, "mono_ms": 5, "boot": "b"}


def entry(box: Box, **change: Any) -> dict[str, Any]:
    return {"site_id": str(box.site), "tag": "17", "species": "sheep", "arrived": READING, **change}


def listed(hub: CloudHub, site: object) -> dict[str, dict[str, Any]]:
    return {animal["id"]: animal for animal in hub.admin.get(f"/api/v1/sites/{site}/animals")}


def cases(hub: CloudHub, key: UUID) -> list[dict[str, Any]]:
    return [case for case in hub.admin.get("/api/v1/conflicts") if case["key"] == str(key)]


def opening(box: Box, animal: UUID) -> dict[str, Any]:
    return box.opening(animal_id=str(animal))


@pytest.fixture
def box(hub: CloudHub) -> Box:
    return hub.box(hub.site(L1="sheep"))


def test_an_animal_that_a_box_writes_down_is_listed_told_and_sacrificed(hub: CloudHub, box: Box) -> None:
    other, animal = hub.box(str(box.site)), uuid4()
    more = {"weight_g": 41_500, "age_months": 14, "sex": "female", "vet_note": "calm", "defects": []}
    box.write("animal", animal, entry(box, **more))
    box.write("sacrifice", uuid4(), opening(box, animal))
    box.sync()
    assert box.parked == {}
    found = listed(hub, box.site)[str(animal)]
    assert {name: found[name] for name in more} == more
    assert (found["tag"], found["capacity"], found["node"]) == ("17", 1, str(box.node))
    assert (found["ineligible"], found["same_tag"]) == ([], False)
    box.write("animal", animal, {"weight_g": None, "pen": "B"})
    box.sync()
    other.sync()
    for each in (box, other):
        each.sync()
        told = each.told("animal")[animal]
        assert (told["tag"], told["pen"], told["age_months"]) == ("17", "B", 14)
        assert "weight_g" not in told


def test_what_was_listed_is_completed_and_a_box_of_before_is_told_no_more_than_it_knows(
    hub: CloudHub, box: Box
) -> None:
    box.sync()
    (animal,) = box.told("animal")
    assert box.told("animal")[animal].keys() == {"site_id", "tag", "species", "pen"}
    box.write("animal", animal, {"weight_g": 52_000, "arrived": READING})
    box.sync()
    found = listed(hub, box.site)[str(animal)]
    assert (found["tag"], found["weight_g"], found["node"]) == ("L1", 52_000, None)


def test_two_boxes_that_give_one_tag_are_a_case_and_both_animals_are_kept(hub: CloudHub, box: Box) -> None:
    boxes, animals = [box, hub.box(str(box.site))], [uuid4(), uuid4()]
    for each, animal, tag in zip(boxes, animals, ("A 17", "a\u0661\u0667".replace("a", "a ")), strict=True):
        each.write("animal", animal, entry(each, tag=tag))
        each.sync()
    assert [each.parked for each in boxes] == [{}, {}]
    [case] = cases(hub, tag_id(UUID(str(box.site)), "A 17"))
    assert (case["entity"], case["field"]) == ("tagged", "by")
    assert {version["value"] for version in case["versions"]} == {str(animal) for animal in animals}
    assert all(listed(hub, box.site)[str(animal)]["same_tag"] for animal in animals)
    box.write("animal", animals[0], {"site_id": str(box.site), "tag": "A 18"})
    box.sync()
    assert not any(found["same_tag"] for found in listed(hub, box.site).values())
    assert {box.told("animal")[animal]["tag"] for animal in animals} == {"A 18", "a \u0661\u0667"}


def test_a_tag_that_was_listed_meanwhile_is_a_case_too(hub: CloudHub, box: Box) -> None:
    site = box.site
    animal = uuid4()
    box.write("animal", animal, entry(box))
    there = hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": "17", "species": "goat"})["id"]
    box.sync()
    [case] = cases(hub, tag_id(UUID(str(site)), "17"))
    assert [version["value"] for version in case["versions"]] == [there, str(animal)]
    hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": " \u0661\u0667", "species": "goat"}, status=409)


def test_a_tag_that_boxes_gave_is_not_listed_again(hub: CloudHub, box: Box) -> None:
    box.write("animal", uuid4(), entry(box))
    box.sync()
    hub.admin.post(f"/api/v1/sites/{box.site}/animals", {"tag": "17", "species": "sheep"}, status=409)
    assert cases(hub, tag_id(UUID(str(box.site)), "17")) == []


def test_shares_are_given_to_animals_that_count(hub: CloudHub) -> None:
    box = hub.box(hub.site())
    lame, young, sound = uuid4(), uuid4(), uuid4()
    box.write("animal", lame, entry(box, tag="1", defects=["lame"]))
    box.write("animal", young, entry(box, tag="2", age_months=5))
    box.sync()
    found = listed(hub, box.site)
    assert (found[str(lame)]["ineligible"], found[str(young)]["ineligible"]) == (["lame"], ["too_young"])
    order = hub.paid_order(hub.donor(), "sheep", "Ahmed Benali")
    path = f"/api/v1/orders/{order['id']}/allocate"
    assert hub.admin.post(path, {"site_id": str(box.site)}, status=409)["code"] == "full"
    box.write("animal", sound, entry(box, tag="3", age_months=7))
    box.sync()
    (given,) = hub.admin.post(path, {"site_id": str(box.site)})
    assert given["id"] == str(sound)


def test_a_site_says_from_which_age_sheep_count(hub: CloudHub) -> None:
    new = {"name": "Mirpur", "timezone": "Asia/Karachi", "languages": ["ur"], "latitude": 33.148, "longitude": 73.752}
    box = hub.box(hub.admin.post("/api/v1/sites", new)["id"])
    animal = uuid4()
    box.write("animal", animal, entry(box, age_months=11))
    box.sync()
    assert listed(hub, box.site)[str(animal)]["ineligible"] == []
    eid = f"/api/v1/sites/{box.site}/eid"
    hub.admin.ask("PUT", eid, {"day": "2027-05-16", "sheep_months": 5}, status=400)
    hub.admin.ask("PUT", eid, {"day": "2027-05-16", "sheep_months": 12, "per_hour": 40})
    box.sync()
    assert box.told("site")[UUID(str(box.site))]["per_hour"] == 40
    assert box.told("site")[UUID(str(box.site))]["sheep_months"] == 12
    assert listed(hub, box.site)[str(animal)]["ineligible"] == ["too_young"]


def test_what_cannot_be_is_parked_and_holds_up_nothing(hub: CloudHub, box: Box) -> None:
    elsewhere = hub.site(X1="cow")
    theirs = hub.admin.get(f"/api/v1/sites/{elsewhere}/animals")[0]["id"]
    donor = hub.donor()
    given = hub.allocated_order(donor, str(box.site), "sheep", "Ahmed Benali")["animals"][0]["id"]
    good = uuid4()
    box.write("animal", uuid4(), {"site_id": str(box.site), "tag": "no species"})
    box.write("animal", UUID(theirs), {"weight_g": 60_000})
    box.write("animal", UUID(given), {"species": "cow"})
    box.write("animal", uuid4(), entry(box, tag="2", weight_g=-1))
    box.write("animal", uuid4(), entry(box, tag="3", defects=["ugly"]))
    box.write("animal", uuid4(), entry(box, tag="4", site_id=elsewhere))
    box.write("animal", good, entry(box, tag="5"))
    box.sync()
    assert {seq: parked.code for seq, parked in box.parked.items()} == dict.fromkeys(range(1, 7), "bad_op")
    assert str(good) in listed(hub, box.site)
    assert listed(hub, elsewhere)[theirs]["weight_g"] is None


def test_a_photo_is_shown_when_its_bytes_are_here(hub: CloudHub, box: Box) -> None:
    animal, photo, content = uuid4(), uuid4(), b"\xff\xd8\xff a picture"
    sealed = seal(content, hub.platform.keys.unseal.public)
    box.write("animal", animal, entry(box))
    box.write("photo", photo, {
        "of": str(animal), "sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
        "blob_id": hashlib.sha256(sealed).hexdigest(), "blob_size": len(sealed), "media_type": "image/jpeg",
    })  # fmt: skip
    box.write("photo", uuid4(), {"of": str(animal), "media_type": "text/html"})
    box.sync()
    assert list(box.parked) == [3]
    (found,) = hub.admin.get(f"/api/v1/photos?of={animal}")
    assert (found["id"], found["is_here"]) == (str(photo), False)
    hub.admin.get(f"/api/v1/photos/{photo}", status=404)
    box.seal(sealed, kind="photo")
    box.sync()
    assert hub.admin.get(f"/api/v1/photos?of={animal}")[0]["is_here"] is True
    answer = hub.admin.http.get(f"/api/v1/photos/{photo}")
    assert (answer.content, answer.headers["content-type"]) == (content, "image/jpeg")
    hub.donor().get(f"/api/v1/photos/{photo}", status=403)
