"""A donor doubts, people look and answer, and what was not proved is made up for: another sacrifice, or the money."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from demo.answers import wait_for
from demo.mailbox import Mailbox
from tests.cloud_hub import CloudHub, Person
from tests.filmed import Filmed
from tests.integration.cloud.donors.test_money import ledger
from tests.integration.cloud.donors.test_search import _as_admin
from tests.integration.cloud.pages.test_mine import signed_in


@pytest.fixture(scope="module")
def second(busy_hub: CloudHub) -> Person:
    return busy_hub.staff("admin")


def verified(hub: CloudHub, donor: Person | None = None) -> Filmed:
    film = Filmed(hub, "Ahmed Benali", language="en", donor=donor)
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    return film


def reversed_(hub: CloudHub, second: Person) -> Filmed:
    """A film that a donor doubted, and two people rejected."""
    film = verified(hub)
    film.donor.post(f"/api/v1/videos/{film.video}/dispute", {"reason": "not_my_name"}, status=204)
    for person in (hub.admin, second):
        vote(person, film, "reject")
    wait_for("the order to be taken back", lambda: film.order_state() == "sacrificed")
    return film


def vote(who: Person, film: Filmed, say: str, note: str = "") -> None:
    who.ask("PUT", f"/api/v1/reviews/{film.video}/vote", {"vote": say, "note": note})


def remedy(hub: CloudHub, film: Filmed, what: str, **expect: Any) -> dict[str, Any]:
    told: dict[str, Any] = hub.admin.post(f"/api/v1/orders/{film.order_id}/remedy", {"what": what}, **expect)
    return told


def test_a_donor_doubts_on_the_page_and_reads_the_answer(busy_hub: CloudHub) -> None:
    donor = busy_hub.donor(language="en")
    film = verified(busy_hub, donor)
    browser, path = signed_in(busy_hub, donor), f"/orders/{film.order_id}"
    assert "Is something wrong" in browser.get(path).text
    asked = browser.post(f"{path}/videos/{film.video}/dispute", data={"reason": "not_my_name"})
    assert "People are looking at it again" in asked.text
    assert "Is something wrong" not in asked.text
    told = donor.get(f"/api/v1/videos/{film.video}/dispute")
    assert (told["reason"], told["stands"], told["answer"]) == ("not_my_name", None, "")
    assert "What the donor is answered" in _as_admin(busy_hub).get(f"/review/{film.video}").text
    vote(busy_hub.admin, film, "approve", "Your name is said at 0:01.")
    told = donor.get(f"/api/v1/videos/{film.video}/dispute")
    assert (told["stands"], told["answer"]) == (True, "Your name is said at 0:01.")
    assert "Your name is said at 0:01." in browser.get(path).text
    busy_hub.donor("Somebody Else").get(f"/api/v1/videos/{film.video}/dispute", status=404)
    assert browser.post(f"{path}/videos/{film.video}/dispute", data={"reason": "boredom"}).status_code == 400


def test_another_sacrifice_is_another_order_that_is_paid_with_what_was_paid(
    busy_hub: CloudHub, second: Person, mailbox: Mailbox
) -> None:
    film = reversed_(busy_hub, second)
    assert film.order_id in [order["id"] for order in busy_hub.admin.get("/api/v1/remedies")]
    told = remedy(busy_hub, film, "again")
    assert remedy(busy_hub, film, "again") == told == remedy(busy_hub, film, "refund"), "it is decided once"
    first, other = told["order"], told["instead"]
    assert (first["state"], first["timeline"][-1]["why"]) == ("refunded", "again")
    assert (other["state"], other["minor"], other["species"]) == ("paid", 25_000, "sheep")
    assert [share["name"] for share in other["shares"]] == ["Ahmed Benali"]
    assert {share["id"] for share in other["shares"]}.isdisjoint(share["id"] for share in first["shares"])
    books = [ledger(film.donor, order) for order in (first, other)]
    assert books[0] == {"donor": 0, "animal": 0, "cash": 25_000, "moved": -25_000}
    assert books[1] == {"donor": 0, "animal": -25_000, "moved": 25_000}
    assert film.order_id not in [row["order_id"] for row in busy_hub.admin.get("/api/v1/refunds")]
    assert film.order_id not in [order["id"] for order in busy_hub.admin.get("/api/v1/remedies")]
    mailbox.wait_for(lambda mail: film.is_told_by(mail) and f"number {other['reference']}" in mail.text, 30)
    site = busy_hub.site(A1="sheep")
    assert busy_hub.admin.post(f"/api/v1/orders/{other['id']}/allocate", {"site_id": site})
    assert [found["donor"]["id"] for found in busy_hub.admin.post(
        "/api/v1/donors/search", {"text": other["reference"]})] == [film.donor.id]
    page = signed_in(busy_hub, film.donor).get(f"/orders/{film.order_id}").text
    assert f"/orders/{other['id']}" in page


def test_the_money_goes_back_when_a_second_person_says_so(
    busy_hub: CloudHub, second: Person, mailbox: Mailbox
) -> None:
    film = reversed_(busy_hub, second)
    told = remedy(busy_hub, film, "refund")
    assert (told["order"]["state"], told["order"]["timeline"][-1]["why"], told["instead"]) == (
        "refunded", "remedy", None)
    (refund,) = [row for row in busy_hub.admin.get("/api/v1/refunds") if row["order_id"] == film.order_id]
    assert busy_hub.admin.post("/api/v1/refunds/approve", {"key": refund["key"]}, status=403)["code"] == "four_eyes"
    assert second.post("/api/v1/refunds/approve", {"key": refund["key"]})["done"]
    assert set(ledger(film.donor, told["order"]).values()) == {0}
    mailbox.wait_for(lambda mail: film.is_told_by(mail) and "goes back to you" in mail.text, 30)


def test_only_what_was_taken_back_is_made_up_for_and_only_by_admins(busy_hub: CloudHub, second: Person) -> None:
    film = verified(busy_hub)
    assert remedy(busy_hub, film, "again", status=409)["code"] == "bad_transition"
    busy_hub.admin.post(f"/api/v1/orders/{film.order_id}/remedy", {"what": "nothing"}, status=400)
    film.donor.post(f"/api/v1/orders/{film.order_id}/remedy", {"what": "again"}, status=403)
    busy_hub.admin.post(f"/api/v1/orders/{secrets.token_hex(16)}/remedy", {"what": "again"}, status=404)


def test_an_admin_makes_up_for_it_on_a_page(busy_hub: CloudHub, second: Person) -> None:
    film = reversed_(busy_hub, second)
    browser = _as_admin(busy_hub)
    page = browser.get("/remedies")
    assert film.order_id in page.text
    page = browser.post("/remedies", data={"order_id": film.order_id, "what": "refund"})
    assert f'value="{film.order_id}"' not in page.text
    (key,) = [row["key"] for row in busy_hub.admin.get("/api/v1/refunds") if row["order_id"] == film.order_id]
    assert key in page.text
    assert "Somebody else has to approve it." in page.text
    assert busy_hub.staff("auditor").http.get("/remedies").status_code == 200
