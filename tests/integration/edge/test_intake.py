"""Animals that are written down at the site, over HTTP: from programs, from the form, with photos, to the hub."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.crypto import UnsealKey
from shared.ids import new_id
from shared.sealed import SealedReader
from tests.box import Box, Tablet, running, until
from tests.hub import Hub, serving
from tests.unit.sync.chains import SITE

Site = tuple[Hub, Box, Tablet, list[UUID]]
PICTURE = b"\xff\xd8\xff\xe0 a picture of a sheep, seen nowhere on the disk"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(Hub()) as hub, running(tmp_path_factory.mktemp("box"), hub, animals=1) as (box, tablet, animals):
        yield hub, box, tablet, animals


def animals(tablet: Tablet) -> dict[str, dict[str, Any]]:
    return {animal["id"]: animal for animal in tablet.ask("GET", "/api/v1/animals").json()}


def refused(tablet: Tablet, method: str, path: str, **request: Any) -> dict[str, Any]:
    with pytest.raises(httpx.HTTPStatusError) as error:
        tablet.ask(method, path, **request)
    return dict(error.value.response.json())


def test_a_new_animal_from_the_tablet_to_the_hub_and_back(site: Site) -> None:
    hub, box, tablet, _ = site
    id, entry = new_id(), {"tag": "N 1", "species": "goat", "weight_g": 31_000, "age_months": 13}
    for _ in range(2):
        answer = tablet.ask("PUT", f"/api/v1/animals/{id}", json=entry).json()
    assert {name: answer[name] for name in entry} == entry
    assert answer["arrived"]["boot"]
    assert len(box.rows(f"SELECT 1 FROM op WHERE key = '{id}'")) == 1
    until(lambda: ("animal", id) in hub.records, what="the animal at the hub")
    assert hub.records["animal", id]["weight_g"].value == 31_000
    until(lambda: box.rows("SELECT acked FROM link WHERE acked > 0"))
    hub.publish("animal", id, {"site_id": str(SITE), "tag": "N 1", "species": "goat", "pen": "told", "age_months": 13})
    until(lambda: animals(tablet)[str(id)]["pen"] == "told")
    assert animals(tablet)[str(id)]["weight_g"] is None
    tablet.open_sacrifice(id)
    until(lambda: hub.entities()["sacrifice"] == 1)


def test_a_tag_that_is_taken_and_entries_that_cannot_be(site: Site) -> None:
    _, _, tablet, [known] = site
    path = f"/api/v1/animals/{new_id()}"
    problem = refused(tablet, "PUT", path, json={"tag": "\u0660\u0660\u0660", "species": "sheep"})
    assert (problem["status"], problem["code"], problem["animal_id"]) == (409, "tag_taken", str(known))
    for wrong in ({"tag": "", "species": "sheep"}, {"tag": " ", "species": "sheep"}, {"tag": "9", "species": "cat"},
                  {"tag": "9"}, {"tag": "9", "species": "sheep", "weight_g": -5},
                  {"tag": "9", "species": "sheep", "defects": ["ugly"]}, {"tag": "9", "species": "sheep", "x": 1}):
        assert refused(tablet, "PUT", path, json=wrong)["code"] == "bad_input", wrong
    answer = httpx.put(tablet.box.url + path, json={"tag": "9", "species": "sheep"})
    assert answer.status_code == 401


def test_an_animal_that_does_not_count_is_not_claimed_until_its_entry_is_right(site: Site) -> None:
    _, _, tablet, _ = site
    id, entry = new_id(), {"tag": "N 2", "species": "cow", "age_months": 20, "defects": ["lame"]}
    found = tablet.ask("PUT", f"/api/v1/animals/{id}", json=entry).json()
    assert found["ineligible"] == ["too_young", "lame"]
    problem = refused(tablet, "POST", f"/api/v1/animals/{id}/claim", json={"tablet": "t"})
    assert (problem["status"], problem["code"], problem["reasons"]) == (409, "ineligible", ["too_young", "lame"])
    page = tablet.ask("GET", f"/animals/{id}").text
    assert "does not count as a sacrifice" in page
    assert "Clearly lame" in page
    assert "data-record" not in page
    tablet.ask("PUT", f"/api/v1/animals/{id}", json=entry | {"age_months": 24, "defects": []})
    tablet.ask("POST", f"/api/v1/animals/{id}/claim", json={"tablet": "t"})
    assert "data-record" in tablet.ask("GET", f"/animals/{id}").text


def form(tablet: Tablet, id: UUID, **fields: Any) -> httpx.Response:
    return tablet.http.post(f"{tablet.box.url}/intake/{id}", data=fields, follow_redirects=False)


def test_the_form_takes_what_people_type_and_sending_it_twice_writes_one_animal_down(site: Site) -> None:
    _, _, tablet, _ = site
    id = new_id()
    typed = {"is_new": "1", "tag": " N\u0663 ", "species": "sheep", "weight": "\u0664\u0661,5", "age_months": "7",
             "sex": "", "pen": "B", "defects": ["ill", "lame"], "vet_note": "limps"}
    for _ in range(2):
        answer = form(tablet, id, **typed)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/intake?last={id}")
    found = animals(tablet)[str(id)]
    assert (found["tag"], found["weight_g"], found["defects"]) == ("N3", 41_500, ["ill", "lame"])
    told = tablet.ask("GET", f"/intake?last={id}").text
    assert "is written down" in told
    assert "Clearly ill" in told
    again = tablet.ask("GET", f"/intake/{id}").text
    assert 'value="41.5"' in again
    answer = form(tablet, id, **{name: typed[name] for name in ("tag", "species", "weight")}, defects="ill")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/animals/{id}")
    assert animals(tablet)[str(id)]["defects"] == ["ill"]


def test_a_form_that_cannot_be_taken_comes_back_as_it_was_filled_in(site: Site) -> None:
    _, _, tablet, _ = site
    for wrong, said in (({"tag": "000"}, "tag_taken"), ({"weight": "many"}, "bad_input"), ({"tag": ""}, "bad_input"),
                        ({"weight": "1e999999999"}, "bad_input"), ({"weight": "NaN"}, "bad_input"),
                        ({"age_months": "9999"}, "bad_input"), ({"species": ""}, "bad_input")):
        answer = form(tablet, new_id(), **{"is_new": "1", "tag": "N 4", "species": "goat", "pen": "<kept>"} | wrong)
        assert answer.status_code in (400, 409), wrong
        assert f'data-refused="{said}"' in answer.text, wrong
        assert "&lt;kept&gt;" in answer.text
    assert "N 4" not in {animal["tag"] for animal in animals(tablet).values()}


def test_a_photo_is_sealed_shown_and_sent(site: Site) -> None:
    hub, box, tablet, [known] = site
    photo = new_id()
    for _ in range(2):
        tablet.ask("PUT", f"/api/v1/photos/{photo}?of={known}", content=PICTURE)
    assert tablet.ask("GET", f"/photos/{photo}").content == PICTURE
    assert animals(tablet)[str(known)]["photo_id"] == str(photo)
    (row,) = box.rows(f"SELECT blob_id FROM photo WHERE id = '{photo}'")
    until(lambda: row["blob_id"] in hub.arrived, what="the photo at the hub")
    assert SealedReader(io.BytesIO(hub.uploads[row["blob_id"]]), UnsealKey(b"h" * 32)).read() == PICTURE
    assert hub.records["photo", photo]["of"].value == str(known)
    assert not [path for path in box.folder.rglob("*") if path.is_file() and PICTURE[6:] in path.read_bytes()]
    assert len(list((box.folder / "blobs").rglob("*/*"))) == len(box.rows("SELECT 1 FROM blob"))
    path = f"/api/v1/photos/{photo}?of={known}"
    assert refused(tablet, "PUT", path, content=PICTURE + b"another")["code"] == "conflict"
    assert refused(tablet, "PUT", path, content=b"<script>")["code"] == "unsupported_media"
    assert refused(tablet, "PUT", path, content=bytes(9 << 20))["code"] == "too_large"
    assert refused(tablet, "GET", f"/api/v1/photos/{new_id()}")["code"] in ("not_found", "method_not_allowed")
