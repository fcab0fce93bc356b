"""Whoever calls is found by how their name sounds, although no name lies in the clear."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from cloud.main import rotate_keys
from demo.browser import Browser
from tests.cloud_hub import ADMIN, CloudHub, Person

SEARCH = "/api/v1/donors/search"


@pytest.fixture(scope="module")
def latifa(hub: CloudHub) -> Person:
    """A donor who gives for two people, of whom one is written in Arabic and has others to be told."""
    donor = hub.donor("Latifa Ouazzani-Chahdi")
    shares = [
        {"name": "خديجة المنصوري", "language": "ar", "phone": "+213661112233"},
        {"name": "Abderrahmane Ouazzani", "language": "fr", "spellings": ["عبد الرحمن الوزاني"], "anonymous": True},
    ]
    donor.post("/api/v1/orders", {"species": "cow", "shares": shares})
    return donor


def found(hub: CloudHub, text: str) -> list[str]:
    return [each["donor"]["id"] for each in hub.admin.post(SEARCH, {"text": text})]


@pytest.mark.parametrize("text", [
    "Latifa", "لطيفة", "LATIFA ouazzani", "Wazzani Latifa", "Khadidja Mansouri", "Khadija El Mansuri", "خديجة",
    "Abd ar-Rahman", "Abdourahman Wazani", "عبدالرحمن", "+213661112233", "+213 661 11 22 33",
])  # fmt: skip
def test_a_donor_is_found_however_the_name_is_written(hub: CloudHub, latifa: Person, text: str) -> None:
    assert latifa.id in found(hub, text)


@pytest.mark.parametrize("text", ["Karima", "Latifa Mansouri", "Khadija Ouazzani Benali", "...", "999999999", "a@b"])
def test_and_nobody_else_is(hub: CloudHub, latifa: Person, text: str) -> None:
    """Words of two people are nobody's name."""
    assert latifa.id not in found(hub, text)


def test_what_is_shown_is_the_donor_and_their_orders(hub: CloudHub, latifa: Person) -> None:
    (order,) = latifa.get("/api/v1/orders")
    for text in (order["reference"], latifa.email):
        (shown,) = hub.admin.post(SEARCH, {"text": text})
        assert (shown["donor"]["name"], shown["donor"]["email"]) == ("Latifa Ouazzani-Chahdi", latifa.email)
        assert shown["orders"] == [order]
    assert [one["id"] for one in hub.admin.post("/api/v1/donors/find", {"phone": "+213661112233"})] == [latifa.id]


def test_a_long_list_is_read_in_pages(hub: CloudHub) -> None:
    donors = {hub.donor("Zulaykha Tlemçani").id for _ in range(5)}
    path, seen = f"{SEARCH}?limit=2", []
    while path:
        answer = hub.admin.http.post(path, json={"text": "زليخة"})
        assert len(answer.json()) <= 2
        seen += [each["donor"]["id"] for each in answer.json()]
        path = httpx.Response(200, headers=answer.headers).links.get("next", {}).get("url", "")
    assert set(seen) == donors
    assert seen == sorted(donors, reverse=True), "the newest first, none twice"


def test_each_look_is_told_and_what_was_typed_is_not(hub: CloudHub, latifa: Person) -> None:
    before = hub.sql("SELECT coalesce(max(id), 0) FROM platform.audit")[0]
    found(hub, "Latifa Ouazzani")
    told = hub.sql("SELECT role, outcome, facts FROM platform.audit WHERE id > :id AND action = 'donors.look_up'",
                   id=before)
    assert told == [("admin", "seen", {"donors": [latifa.id]})]
    for role in ("auditor", "executor"):
        hub.staff(role).post(SEARCH, {"text": "Latifa"}, status=403)
    latifa.post(SEARCH, {"text": "Latifa"}, status=403)


def test_nothing_that_is_kept_for_it_can_be_read_or_tried_out(hub: CloudHub, latifa: Person) -> None:
    rows = hub.sql("SELECT token FROM donors.sounds WHERE donor_id = :id", id=latifa.id)
    assert len(rows) > 5
    assert {len(token) for token in rows} == {32}
    mine, other = (keys.blind("sound/1", "ltf") for keys in (hub.platform.keys, type(hub.platform.keys)(bytes(32))))
    assert mine in rows
    assert other not in rows


def test_another_master_key_changes_nothing_and_who_is_erased_is_found_no_more(hub: CloudHub) -> None:
    donor = hub.donor("Oumkeltoum Bouzid")
    donor.post("/api/v1/orders", {"species": "goat", "shares": [{"name": "Mebarka Bouzid", "language": "fr"}]})
    asyncio.run(rotate_keys(hub.platform.settings, lambda done, of: None))
    for text in ("Oum Keltoum", "مباركة بوزيد"):
        assert donor.id in found(hub, text)
    hub.admin.post(f"/api/v1/donors/{donor.id}/erase", {"reason": "asked"})
    for text in ("Oum Keltoum", "مباركة بوزيد"):
        assert donor.id not in found(hub, text)
    assert hub.sql("SELECT count(*) FROM donors.sounds WHERE donor_id = :id", id=donor.id) == [0]


def test_an_admin_looks_somebody_up_on_a_page(hub: CloudHub, latifa: Person) -> None:
    browser = _as_admin(hub)
    assert "Nobody was found" not in browser.get("/search").text
    shown = browser.post("/search", data={"text": "خديجه المنصورى"})
    assert str(shown.url).endswith("/search"), "no address has what was typed"
    assert "Latifa Ouazzani-Chahdi" in shown.text
    assert latifa.email in shown.text
    assert "Nobody was found" in browser.post("/search", data={"text": "<script>"}).text
    assert "&lt;script&gt;" in browser.post("/search", data={"text": "<script>"}).text
    assert browser.post("/search", data={"text": "x", "cursor": "nonsense"}).status_code == 400


def _as_admin(hub: CloudHub) -> Browser:
    browser: Any = hub.browser(**{"accept-language": "en", "accept": "text/html"})
    app = hub.authenticator
    browser.post("/sign-in", data={"email": ADMIN, "password": hub.password, "to": "/search"})
    assert browser.post("/second-factor", data={"code": app.code(), "to": "/search"}).url.path == "/search"
    return browser
