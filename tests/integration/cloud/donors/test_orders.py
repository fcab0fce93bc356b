"""Orders as donors place them and admins book them."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import models
from cloud.platform.personal import place
from tests.cloud_hub import CloudHub, Person

SHARE = {"name": "أحمد بن علي", "language": "ar", "spellings": ["Ahmed Benali"]}
ORDER: dict[str, Any] = {"species": "cow", "shares": [SHARE, {"name": "Zohra", "language": "fr"}]}


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


@pytest.fixture(scope="module")
def other(hub: CloudHub) -> Person:
    return hub.donor("Somebody Else")


def payment(**change: Any) -> dict[str, Any]:
    return {"key": secrets.token_hex(8), "minor": 120_000, "currency": "EUR", "method": "transfer", **change}


def pay(hub: CloudHub, order: dict[str, Any], body: dict[str, Any], **expect: Any) -> dict[str, Any]:
    answer: dict[str, Any] = hub.admin.post(f"/api/v1/orders/{order['id']}/payments", body, **expect)
    return answer


def states(order: dict[str, Any]) -> list[str]:
    return [step["state"] for step in order["timeline"]]


def test_an_order_is_placed_and_seen_by_its_donor_and_the_staff(hub: CloudHub, donor: Person) -> None:
    order = donor.post("/api/v1/orders", ORDER)
    assert order["state"] == "placed"
    assert order["donor_id"] == donor.id
    assert [(share["name"], share["spellings"]) for share in order["shares"]] == [
        ("أحمد بن علي", ["Ahmed Benali"]), ("Zohra", []),
    ]
    assert states(order) == ["placed"]
    assert donor.get(f"/api/v1/orders/{order['id']}") == order == hub.admin.get(f"/api/v1/orders/{order['id']}")
    assert order in donor.get("/api/v1/orders")
    assert order in hub.admin.get("/api/v1/orders?state=placed")
    assert order not in hub.admin.get("/api/v1/orders?state=paid")


def test_what_a_donor_says_of_a_share_is_theirs_and_the_site_hears_what_it_needs(hub: CloudHub, donor: Person) -> None:
    site = hub.site(C1="cow")
    said = {"deceased": True, "anonymous": True, "phone": "+33612345678"}
    plain = {"deceased": False, "anonymous": False, "phone": ""}
    order = donor.post("/api/v1/orders", {"species": "cow", "shares": [{**SHARE, **said}, ORDER["shares"][1]]})
    assert [{name: share[name] for name in plain} for share in order["shares"]] == [said, plain]
    assert donor.get(f"/api/v1/orders/{order['id']}") == order
    assert said["phone"] in str(donor.get("/api/v1/me/export"))
    donor.post("/api/v1/orders", {"species": "cow", "shares": [{**SHARE, "phone": "0612345678"}]}, status=400)
    pay(hub, order, payment())
    hub.admin.post(f"/api/v1/orders/{order['id']}/allocate", {"site_id": site})
    box = hub.box(site)
    box.sync()
    told = box.told("share")
    first, second = (told[UUID(share["id"])] for share in order["shares"])
    assert first["deceased"] is True
    assert "deceased" not in second, "a box of before would not know it"
    assert said["phone"] not in str(told)
    assert not {"anonymous", "phone"} & first.keys()


def test_a_share_that_was_written_before_there_was_more_to_say_is_read(hub: CloudHub, donor: Person) -> None:
    order = donor.post("/api/v1/orders", ORDER)

    async def as_before(session: AsyncSession) -> None:
        row = await session.get_one(models.Share, UUID(order["shares"][0]["id"]))
        row.sealed = row.key.seal(place(models.Share, row.id), {"name": SHARE["name"], "spellings": []})

    hub.run(as_before)
    share = hub.admin.get(f"/api/v1/orders/{order['id']}")["shares"][0]
    assert (share["name"], share["deceased"], share["anonymous"], share["phone"]) == (SHARE["name"], False, False, "")


def test_each_order_has_a_number_of_its_own_to_speak_of(donor: Person) -> None:
    numbers = [donor.post("/api/v1/orders", ORDER)["reference"] for _ in range(3)]
    assert len(set(numbers)) == 3
    assert all(number.isdigit() for number in numbers)


def test_what_is_anothers_looks_like_what_is_not_there(donor: Person, other: Person) -> None:
    theirs = other.post("/api/v1/orders", ORDER)
    foreign = donor.get(f"/api/v1/orders/{theirs['id']}", status=404)
    missing = donor.get(f"/api/v1/orders/{uuid4()}", status=404)
    assert foreign == missing
    assert theirs not in donor.get("/api/v1/orders")


@pytest.mark.parametrize(("change", "field"), [
    ({"species": "dragon"}, "species"),
    ({"shares": []}, "shares"),
    ({"shares": [SHARE] * 71}, "shares"),
    ({"shares": [{"name": "", "language": "ar"}]}, "name"),
    ({"shares": [{"name": "x" * 201, "language": "ar"}]}, "name"),
    ({"shares": [{"name": "A", "language": "Arabic!"}]}, "language"),
    ({"state": "verified"}, "state"),
    ({"donor_id": str(uuid4())}, "donor_id"),
    ({"shares": [{**SHARE, "animal_id": str(uuid4())}]}, "animal_id"),
])
def test_a_bad_order_is_refused_and_the_field_named(donor: Person, change: dict[str, Any], field: str) -> None:
    refused = donor.post("/api/v1/orders", {**ORDER, **change}, status=400)
    assert refused["code"] == "bad_input"
    assert field in str(refused)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"species": {}}'])
def test_what_is_no_order_is_refused(donor: Person, body: bytes) -> None:
    answer = donor.http.post("/api/v1/orders", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_input"


def test_a_payment_is_booked_once_however_often_it_is_sent(hub: CloudHub, donor: Person) -> None:
    order, booking = donor.post("/api/v1/orders", ORDER), payment()
    with ThreadPoolExecutor(8) as clerks:
        paid = list(clerks.map(lambda _: pay(hub, order, booking), range(20)))
    assert all(answer == paid[0] for answer in paid)
    assert paid[0]["state"] == "paid"
    assert states(paid[0]) == ["placed", "paid"]
    assert hub.sql("SELECT count(*) FROM donors.payments WHERE order_id = :id", id=order["id"]) == [1]


def test_a_key_that_was_used_for_something_else_is_refused(hub: CloudHub, donor: Person) -> None:
    first, second, booking = donor.post("/api/v1/orders", ORDER), donor.post("/api/v1/orders", ORDER), payment()
    pay(hub, first, booking)
    assert pay(hub, first, {**booking, "minor": 1}, status=409)["code"] == "conflict"
    assert pay(hub, second, booking, status=409)["code"] == "conflict"
    assert donor.get(f"/api/v1/orders/{second['id']}")["state"] == "placed"


def test_a_second_payment_is_booked_and_the_order_stays_paid(hub: CloudHub, donor: Person) -> None:
    order = donor.post("/api/v1/orders", ORDER)
    pay(hub, order, payment())
    assert states(pay(hub, order, payment())) == ["placed", "paid"]
    assert hub.sql("SELECT count(*) FROM donors.payments WHERE order_id = :id", id=order["id"]) == [2]


def test_an_instalment_may_come_late_and_none_for_an_order_that_is_called_off(hub: CloudHub, donor: Person) -> None:
    order = hub.allocated_order(donor, hub.site(C1="cow"), "cow", "Ahmed")
    assert pay(hub, order, payment())["state"] == "allocated"
    hub.sql("UPDATE donors.orders SET state = 'refunded' WHERE id = :id RETURNING 1", id=order["id"])
    assert pay(hub, order, payment(), status=409)["code"] == "bad_transition"
    assert hub.sql("SELECT count(*) FROM donors.payments WHERE order_id = :id", id=order["id"]) == [2]


@pytest.mark.parametrize("change", [
    {"minor": 0}, {"minor": -1}, {"minor": 1.5}, {"currency": "euro"}, {"key": "short"},
])
def test_money_is_positive_whole_and_in_a_currency(hub: CloudHub, donor: Person, change: dict[str, Any]) -> None:
    order = donor.post("/api/v1/orders", ORDER)
    pay(hub, order, payment(**change), status=400)


def test_only_admins_book_and_only_donors_order(hub: CloudHub, donor: Person) -> None:
    order = donor.post("/api/v1/orders", ORDER)
    assert donor.post(f"/api/v1/orders/{order['id']}/payments", payment(), status=403)["code"] == "forbidden"
    hub.admin.post("/api/v1/orders", ORDER, status=403)
    hub.stranger.post("/api/v1/orders", ORDER, status=401)
    hub.admin.post(f"/api/v1/orders/{uuid4()}/payments", payment(), status=404)


def test_an_order_reads_the_same_by_itself_and_in_the_list(hub: CloudHub) -> None:
    """The one is read in one statement, the other with its rows."""
    donor = hub.donor()
    share = {"name": "Zohra bint Ali", "language": "ar", "spellings": ["زهرة", "Zohra"]}
    orders = [donor.post("/api/v1/orders", {"species": "cow", "shares": [share] * count}) for count in (1, 7)]
    hub.admin.post(f"/api/v1/orders/{orders[0]['id']}/payments",
                   {"key": "whole-and-rows-1", "minor": 25_000, "currency": "EUR", "method": "cash"})  # fmt: skip
    listed = {each["id"]: each for each in donor.get("/api/v1/orders")}
    for order in orders:
        for who in (donor, hub.admin):
            assert who.get(f"/api/v1/orders/{order['id']}") == listed[order["id"]]
