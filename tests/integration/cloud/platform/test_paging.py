"""Long lists are read a page at a time, and what comes meanwhile neither repeats a row nor hides one."""

from __future__ import annotations

import gc
from typing import Any

import httpx
import pytest

from demo.answers import wait_for
from tests.cloud_hub import CloudHub, Person

ORDER = {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]}


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


def pages(donor: Person, limit: int, between: Any = lambda: None) -> list[list[str]]:
    """The ids of all orders, page by page, by the links alone."""
    found, url = [], f"/api/v1/orders?limit={limit}&state=placed"
    while url:
        answer = donor.http.get(url)
        assert answer.status_code == 200, answer.text
        found.append([order["id"] for order in answer.json()])
        between()
        url = answer.links.get("next", {}).get("url", "")
    return found


def test_each_row_is_given_once_although_others_come_meanwhile(donor: Person) -> None:
    before = [donor.post("/api/v1/orders", ORDER)["id"] for _ in range(5)]
    found = pages(donor, 2, lambda: donor.post("/api/v1/orders", ORDER))
    assert [len(page) for page in found] == [2, 2, 1]
    assert [id for page in found for id in page] == before[::-1]


def test_a_list_that_fits_has_no_link_and_a_limit_has_bounds(donor: Person) -> None:
    assert "link" not in donor.http.get("/api/v1/orders?limit=500").headers
    for query in ("limit=0", "limit=501", "limit=x", "cursor=%00", "cursor=WyJ4Il0", "cursor=W10", "cursor=e30"):
        answer: httpx.Response = donor.http.get(f"/api/v1/orders?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_input"), query


def test_a_list_that_is_asked_for_wrongly_keeps_no_connection(hub: CloudHub, donor: Person) -> None:
    gc.collect()
    gc.disable()  # which would give it back one day
    try:
        for _ in range(3):
            assert donor.http.get("/api/v1/orders?limit=x").status_code == 400
        pool = hub.platform.database.engine.pool
        wait_for("all connections to be back", lambda: pool.checkedout() == 0, 5)  # type: ignore[attr-defined]
    finally:
        gc.enable()


def test_every_list_without_an_end_is_read_in_pages(hub: CloudHub) -> None:
    document = hub.admin.get("/api-docs/openapi.json")["paths"]
    for path in ("orders", "videos", "notifications", "quarantine", "conflicts"):
        named = {given["name"] for given in document[f"/api/v1/{path}"]["get"]["parameters"]}
        assert {"limit", "cursor"} <= named
        assert hub.admin.http.get(f"/api/v1/{path}?limit=1").status_code == 200
