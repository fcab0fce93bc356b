"""Hides and meat of boxes at the hub: listed, balanced by day, and told to the other boxes of the site."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.cloud_hub import Box, CloudHub

HOUR_MS = 3_600_000
NOON = 1_780_000_000_000


def reading(hours: float = 0, boot: str = "b", wall: int = NOON) -> dict[str, Any]:
    ms = int(hours * HOUR_MS)
    return {"wall_ms": wall + ms, "mono_ms": 5 + ms, "boot": boot}


@pytest.fixture
def box(hub: CloudHub) -> Box:
    return hub.box(hub.site())


def sacrificed(box: Box, tag: str, weight_g: int | None, hours: float = 0) -> str:
    animal = uuid4()
    box.write("animal", animal, {"site_id": str(box.site), "tag": tag, "species": "sheep", "weight_g": weight_g})
    fields = {"site_id": str(box.site), "animal_id": str(animal), "executor_id": str(uuid4()),
              "opened": reading(hours), "state": "recorded"}  # fmt: skip
    box.write("sacrifice", uuid4(), fields)
    return str(animal)


def skin(box: Box, animal: str, **fields: Any) -> dict[str, Any]:
    return {"site_id": str(box.site), "animal_id": animal, "faults": [], **fields}


def test_hides_are_listed_with_how_long_they_lay(hub: CloudHub, box: Box) -> None:
    animal, hide, other = sacrificed(box, "1", 40_000), uuid4(), hub.box(str(box.site))
    box.write("skin", hide, skin(box, animal, grade="A", heat_c=30, flayed=reading(1)))
    box.write("skin", hide, {"salted": reading(4, wall=NOON + 90 * HOUR_MS), "faults": ["cut"]})
    box.sync()
    assert box.parked == {}
    (found,) = hub.admin.get(f"/api/v1/sites/{box.site}/hides")
    assert (found["grade"], found["faults"], found["within_s"], found["took_s"]) == ("A", ["cut"], 7200.0, 10_800.0)
    other.sync()
    assert other.told("skin")[hide]["animal_id"] == animal
    box.write("skin", hide, {"salted": None})
    box.sync()
    other.sync()
    assert "salted" not in other.told("skin")[hide]
    hub.donor().get(f"/api/v1/sites/{box.site}/hides", status=403)


def test_two_hides_of_one_animal_are_a_case(hub: CloudHub, box: Box) -> None:
    animal, other = sacrificed(box, "1", 40_000), hub.box(str(box.site))
    box.sync()
    for each in (box, other):
        each.write("skin", uuid4(), skin(each, animal))
        each.sync()
    [case] = [case for case in hub.admin.get("/api/v1/conflicts") if case["key"] == animal]
    assert (case["entity"], len(case["versions"])) == ("skinned", 2)
    assert len(hub.admin.get(f"/api/v1/sites/{box.site}/hides")) == 2


def test_the_balance_of_each_day(hub: CloudHub, box: Box) -> None:
    one, two, later = sacrificed(box, "1", 40_000), sacrificed(box, "2", None), sacrificed(box, "3", 50_000, 24)
    box.write("skin", uuid4(), skin(box, one, grade="B"))
    batch = uuid4()
    fields = {"site_id": str(box.site), "animals": [one], "weight_g": 19_000, "packs": 7, "weighed": reading(2)}
    box.write("batch", batch, fields)
    box.sync()
    assert box.parked == {}
    last, first = hub.admin.get(f"/api/v1/sites/{box.site}/balance")
    assert (last["animals"], last["without_hide"], last["unweighed"]) == (1, [later], [later])
    assert (first["animals"], first["weighed_in"], first["live_g"]) == (2, 1, 40_000)
    assert (first["expected_g"], first["meat_g"], first["packs"]) == ([16_800, 22_000], 19_000, 7)
    assert (first["hides"], first["without_hide"], first["unweighed"]) == (1, [two], [two])
    assert hub.admin.get(f"/api/v1/sites/{box.site}/batches")[0]["animals"] == [one]
    assert box.told("batch")[batch]["weight_g"] == 19_000
    hub.admin.get(f"/api/v1/sites/{uuid4()}/balance", status=404)


def test_what_cannot_be_is_parked(hub: CloudHub, box: Box) -> None:
    elsewhere = hub.site(X1="sheep")
    theirs = hub.admin.get(f"/api/v1/sites/{elsewhere}/animals")[0]["id"]
    animal = sacrificed(box, "1", 40_000)
    batch = {"site_id": str(box.site), "animals": [animal], "weight_g": 9_000, "weighed": reading()}
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("skin", skin(box, theirs)), ("skin", skin(box, animal, grade="Z")), ("skin", skin(box, "a sheep")),
        ("batch", batch | {"animals": [theirs]}), ("batch", batch | {"weight_g": 0}), ("batch", {"weight_g": 5}),
    ]  # fmt: skip
    for entity, fields in wrong:
        box.write(entity, uuid4(), fields)
    box.write("batch", uuid4(), batch)
    box.sync()
    assert {seq: parked.code for seq, parked in box.parked.items()} == dict.fromkeys(range(3, 9), "bad_op")
    assert len(hub.admin.get(f"/api/v1/sites/{box.site}/batches")) == 1
