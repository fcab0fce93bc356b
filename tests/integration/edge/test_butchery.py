"""Hides and meat over HTTP: from the forms and from programs, to the pages and to the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.ids import new_id
from tests.box import Box, Tablet, running, until
from tests.hub import Hub, serving
from tests.unit.sync.chains import SITE

Site = tuple[Hub, Box, Tablet, list[UUID]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Its animals are sacrificed."""
    with serving(Hub()) as hub, running(tmp_path_factory.mktemp("box"), hub, animals=3) as (box, tablet, animals):
        for number, animal in enumerate(animals):
            known = {"tag": f"{number:03}", "species": "sheep", "pen": "A", "weight_g": 40_000, "site_id": str(SITE)}
            hub.publish("animal", animal, known)
            tablet.upload(tablet.open_sacrifice(animal), new_id(), b"some video" * 100)
        until(lambda: all(each["weight_g"] for each in tablet.ask("GET", "/api/v1/animals").json()), what="the weights")
        yield hub, box, tablet, animals


def form(tablet: Tablet, path: str, **fields: Any) -> httpx.Response:
    return tablet.http.post(tablet.box.url + path, data=fields, follow_redirects=False)


def refused(tablet: Tablet, method: str, path: str, **request: Any) -> tuple[int, str]:
    with pytest.raises(httpx.HTTPStatusError) as error:
        tablet.ask(method, path, **request)
    return error.value.response.status_code, error.value.response.json()["code"]


def test_a_hide_from_the_flayer_to_the_salt(site: Site) -> None:
    hub, box, tablet, [first, *_] = site
    found = tablet.ask("GET", "/api/v1/hides").json()
    assert str(first) in [animal["id"] for animal in found["bare"]]
    assert f'data-bare="{first}"' in tablet.ask("GET", "/hides").text
    assert 'name="flayed_ago" value="0" checked' in tablet.ask("GET", f"/hides/new?animal={first}").text
    hide = new_id()
    typed = {"animal_id": str(first), "is_new": "1", "grade": "B", "faults": ["cut", "hole"], "heat_c": "\u0664\u0660",
             "flayed_ago": "120"}
    for _ in range(2):
        answer = form(tablet, f"/hides/{hide}", **typed)
        assert (answer.status_code, answer.headers["location"]) == (303, "/hides")
    (kept,) = tablet.ask("GET", "/api/v1/hides").json()["hides"]
    assert (kept["grade"], kept["faults"], kept["heat_c"]) == ("B", ["cut", "hole"], 40)
    assert 3600 <= kept["late_s"] < 3700
    page = tablet.ask("GET", "/hides").text
    assert "too late: salt it now" in page
    assert f'data-bare="{first}"' not in page
    assert "40" in tablet.ask("GET", f"/hides/new?animal={site[3][1]}").text, "the heat as it was last given"
    for _ in range(2):
        assert form(tablet, f"/hides/{hide}/salt").status_code == 303
    assert tablet.ask("GET", "/api/v1/hides").json()["hides"][0]["late_s"] is None
    assert f'data-salted="{hide}"' in tablet.ask("GET", "/hides").text
    until(lambda: "salted" in hub.records.get(("skin", hide), {}), what="the hide at the hub")
    assert len(box.rows(f"SELECT 1 FROM op WHERE key = '{hide}'")) == 2


def test_hides_that_cannot_be(site: Site) -> None:
    _, _, tablet, [_, second, _] = site
    hide = new_id()
    tablet.ask("PUT", f"/api/v1/hides/{hide}", json={"animal_id": str(second), "grade": "A"})
    again = form(tablet, f"/hides/{new_id()}", animal_id=str(second), is_new="1")
    assert (again.status_code, 'data-refused="conflict"' in again.text) == (409, True)
    wrong = form(tablet, f"/hides/{hide}", animal_id=str(second), heat_c="hot")
    assert (wrong.status_code, 'data-refused="bad_input"' in wrong.text) == (400, True)
    assert form(tablet, f"/hides/{new_id()}", animal_id="x").status_code == 404
    path = f"/api/v1/hides/{new_id()}"
    assert refused(tablet, "PUT", path, json={"animal_id": str(new_id())}) == (404, "not_found")
    assert refused(tablet, "PUT", path, json={"animal_id": str(second), "grade": "Z"}) == (400, "bad_input")
    assert refused(tablet, "PUT", path, json={"animal_id": str(second), "heat_c": 99}) == (400, "bad_input")
    assert refused(tablet, "POST", f"/api/v1/hides/{new_id()}/salt") == (404, "not_found")
    assert httpx.put(tablet.box.url + path, json={"animal_id": str(second)}).status_code == 401
    assert httpx.get(f"{tablet.box.url}/hides", follow_redirects=False).headers["location"].startswith("/sign-in")


def test_meat_is_weighed_and_set_beside_what_the_animals_should_give(site: Site) -> None:
    hub, _, tablet, animals = site
    batch = new_id()
    assert str(animals[0]) in tablet.ask("GET", "/meat/new").text
    for _ in range(2):
        answer = form(tablet, f"/meat/{batch}", weight="70,5", packs="30", animals=[str(each) for each in animals])
        assert (answer.status_code, answer.headers["location"]) == (303, "/meat")
    (day,) = tablet.ask("GET", "/api/v1/balance").json()
    assert (day["animals"], day["live_g"], day["meat_g"], day["packs"]) == (3, 120_000, 70_500, 30)
    assert day["expected_g"] == [50_400, 66_000]
    assert "data-off" in tablet.ask("GET", "/meat").text, "more meat than three such sheep have"
    assert 'value="70.5"' in tablet.ask("GET", f"/meat/{batch}").text
    form(tablet, f"/meat/{batch}", weight="60", packs="30", animals=[str(each) for each in animals])
    page = tablet.ask("GET", "/meat").text
    assert "data-off" not in page
    assert "data-unweighed" not in page
    until(lambda: hub.records.get(("batch", batch), {}).get("weight_g"), what="the batch at the hub")
    for bad in ({"weight": "", "animals": str(animals[0])}, {"weight": "5"}, {"weight": "-1", "animals": "x"}):
        answer = form(tablet, f"/meat/{new_id()}", **bad)
        assert (answer.status_code, "data-refused" in answer.text) == (400, True), bad
    path = f"/api/v1/batches/{new_id()}"
    assert refused(tablet, "PUT", path, json={"weight_g": 1, "animals": []}) == (400, "bad_input")
    assert refused(tablet, "PUT", path, json={"weight_g": 1, "animals": [str(new_id())]}) == (404, "not_found")


def test_whoever_recorded_is_told_what_went_wrong_each_time(site: Site) -> None:
    tablet = site[2]
    until(lambda: 'data-advised="not_a_video"' in tablet.ask("GET", "/animals").text, what="the advice")
    assert "In 3 of your last 3 recordings:" in tablet.ask("GET", "/animals").text
