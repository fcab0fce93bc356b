"""Who has read something already is told so, and nobody overwrites what they have not seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cloud_hub import CloudHub

EID = {"day": "2026-05-27", "begins": "07:30:00", "days": 4}


@pytest.fixture(scope="module")
def address(hub: CloudHub) -> str:
    sun = {"latitude": 36.75, "longitude": 3.06}
    new = {"name": "Tagged", "timezone": "Africa/Algiers", "languages": ["ar"], **sun}
    return f"/api/v1/sites/{hub.admin.post('/api/v1/sites', new)['id']}"


def test_what_has_not_changed_is_not_sent_again(hub: CloudHub, address: str) -> None:
    ask = hub.admin.http.get
    first = ask(address)
    tag = first.headers["etag"]
    again = ask(address, headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert "content-type" not in again.headers
    assert again.headers["x-content-type-options"] == "nosniff"
    assert ask(address, headers={"if-none-match": '"other"'}).content == first.content
    assert ask(address + "/animals", headers={"if-none-match": tag}).status_code == 200
    hub.admin.ask("PUT", address + "/eid", EID)
    assert ask(address, headers={"if-none-match": tag}).status_code == 200


def test_of_two_who_read_the_same_one_changes_it(hub: CloudHub, address: str) -> None:
    tag = hub.admin.http.get(address).headers["etag"]

    def change(hour: int) -> int:
        body = {**EID, "begins": f"{hour:02}:00:00"}
        return hub.admin.http.put(address + "/eid", json=body, headers={"if-match": tag}).status_code

    with ThreadPoolExecutor(4) as people:
        assert sorted(people.map(change, (9, 10, 11, 12))) == [200, 412, 412, 412]
    assert change(13) == 412
    anybody = hub.admin.http.put(address + "/eid", json=EID, headers={"if-match": "*"})
    assert anybody.status_code == 200


def test_of_two_who_read_the_same_prices_one_changes_them(hub: CloudHub) -> None:
    tag = hub.admin.http.get("/api/v1/prices").headers["etag"]
    places = ["/api/v1/prices", f"/api/v1/sites/{hub.site()}/prices"] * 2

    def change(number: int) -> int:
        price = {"species": "camel", "currency": "XTS", "animal": 1000 + number}
        return hub.admin.http.put(places[number], json=price, headers={"if-match": tag}).status_code

    with ThreadPoolExecutor(4) as people:
        assert sorted(people.map(change, range(4))) == [200, 412, 412, 412]
    found = hub.admin.http.get("/api/v1/prices")
    assert sum(each["currency"] == "XTS" for each in found.json()) == 1
    again = {"species": "camel", "currency": "XTS", "animal": 2000}
    read = {"if-match": found.headers["etag"]}
    assert hub.admin.http.put("/api/v1/prices", json=again, headers=read).status_code == 200
