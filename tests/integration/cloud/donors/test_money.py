"""What an order costs, who pays it and when, and what goes back; every step in a ledger that balances."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from cloud.donors import payments
from tests.cloud_hub import CloudHub, Person

SHARES = [{"name": "Zohra", "language": "fr"}, {"name": "Ahmed", "language": "ar"}]


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


@pytest.fixture(scope="module")
def site(hub: CloudHub) -> str:
    """Where a share of a cow costs 100.00 EUR, against 90.00 anywhere else."""
    site = hub.site(C1="cow", C2="cow")
    price = {"species": "cow", "currency": "EUR", "animal": 8_000, "transport": 700, "fee": 300}
    assert hub.admin.ask("PUT", "/api/v1/prices", price)["minor"] == 9_000
    assert hub.admin.ask("PUT", f"/api/v1/sites/{site}/prices", {**price, "fee": 1_300})["minor"] == 10_000
    return site


def place(donor: Person, *, status: int | None = None, **more: Any) -> dict[str, Any]:
    body = {"species": "cow", "shares": SHARES, "currency": "EUR", **more}
    order: dict[str, Any] = donor.post("/api/v1/orders", body, status=status)
    return order


def pay(hub: CloudHub, order: dict[str, Any], minor: int, **more: Any) -> dict[str, Any]:
    expect = {"status": more.pop("status")} if "status" in more else {}
    body = {"key": secrets.token_hex(8), "minor": minor, "currency": "EUR", "method": "cash", **more}
    paid: dict[str, Any] = hub.admin.post(f"/api/v1/orders/{order['id']}/payments", body, **expect)
    return paid


def ledger(who: Person, order: dict[str, Any]) -> dict[str, int]:
    """What each account of an order comes to, once every entry was seen to balance."""
    found = who.get(f"/api/v1/orders/{order['id']}/ledger")
    assert all(sum(line["minor"] for line in entry["postings"]) == 0 for entry in found["entries"])
    assert found["balance"] == 0
    accounts: dict[str, int] = found["accounts"]
    return accounts


def day(hub: CloudHub, days: int) -> str:
    return (hub.platform.clock.now() + timedelta(days=days)).date().isoformat()


def test_an_order_costs_what_the_list_says_where_it_is_wanted(hub: CloudHub, donor: Person, site: str) -> None:
    assert place(donor)["minor"] == 18_000
    order = place(donor, site_id=site)
    assert (order["minor"], order["currency"], order["site_id"]) == (20_000, "EUR", site)
    assert ledger(donor, order) == {"donor": 20_000, "animal": -16_000, "transport": -1_400, "fee": -2_600}
    price = {"species": "cow", "currency": "EUR", "animal": 99_000}
    other = hub.site()
    hub.admin.ask("PUT", f"/api/v1/sites/{other}/prices", price)
    assert donor.get(f"/api/v1/orders/{order['id']}")["minor"] == 20_000
    assert {"site_id": other, **price, "transport": 0, "fee": 0, "minor": 99_000} in hub.stranger.get("/api/v1/prices")
    assert place(donor, currency="USD", status=400)["field"] == "currency"
    assert place(donor, currency=None, site_id=site, status=400)["field"] == "currency"
    donor.ask("PUT", "/api/v1/prices", price, status=403)


def test_it_is_paid_when_the_sum_is_there_and_not_before(hub: CloudHub, donor: Person, site: str) -> None:
    order = place(donor, site_id=site)
    assert pay(hub, order, 19_999)["state"] == "placed"
    assert ledger(donor, order)["donor"] == 1
    assert pay(hub, order, 1, currency="USD", status=400)["field"] == "currency"
    assert hub.admin.post(f"/api/v1/orders/{order['id']}/allocate", {"site_id": site}, status=409)
    assert pay(hub, order, 1, method="transfer")["state"] == "paid"
    assert ledger(donor, order) == {
        "donor": 0, "animal": -16_000, "transport": -1_400, "fee": -2_600, "cash": 19_999, "transfer": 1}
    elsewhere = hub.site(C1="cow")
    refused = hub.admin.post(f"/api/v1/orders/{order['id']}/allocate", {"site_id": elsewhere}, status=409)
    assert refused["code"] == "conflict"


def test_pennies_from_twenty_hands_at_once_pay_it_exactly_once(hub: CloudHub, donor: Person, site: str) -> None:
    order = place(donor, site_id=site)
    with ThreadPoolExecutor(8) as hands:
        states = [paid["state"] for paid in hands.map(lambda _: pay(hub, order, 1_000), range(20))]
    assert states.count("paid") == 1
    assert ledger(donor, order)["donor"] == 0


def test_instalments_come_one_after_the_other_and_sum_up(hub: CloudHub, donor: Person, site: str) -> None:
    wrong = [
        [{"due": day(hub, 5), "minor": 20_001}],
        [{"due": day(hub, 5), "minor": 10_000}, {"due": day(hub, 4), "minor": 10_000}],
        [{"due": day(hub, -1), "minor": 20_000}],
    ]
    for plan in wrong:
        assert place(donor, site_id=site, instalments=plan, status=400)["field"] == "instalments"
    plan = [{"due": day(hub, 1), "minor": 5_000}, {"due": day(hub, 2), "minor": 15_000}]
    assert [each["minor"] for each in place(donor, site_id=site, instalments=plan)["instalments"]] == [5_000, 15_000]


def test_an_instalment_that_does_not_come_ends_the_order_and_its_donor_is_told(
    hub: CloudHub, donor: Person, site: str
) -> None:
    plan = [{"due": day(hub, 1), "minor": 5_000}, {"due": day(hub, 3), "minor": 15_000}]
    order = place(donor, site_id=site, instalments=plan)
    pay(hub, order, 5_000)
    (first, _) = hub.sql("SELECT due FROM platform.jobs WHERE payload->>'order_id' = :id ORDER BY due", id=order["id"])
    assert first.date().isoformat() == day(hub, 2)

    def collect(days: int) -> str:
        at = hub.platform.clock.now() + timedelta(days=days)
        hub.run(lambda session: payments.collect(session, UUID(order["id"]), at, hub.platform.new_id))
        state: str = donor.get(f"/api/v1/orders/{order['id']}")["state"]
        return state


    assert collect(2) == "placed"
    assert collect(4) == collect(4) == "cancelled"
    last = donor.get(f"/api/v1/orders/{order['id']}")["timeline"][-1]
    assert (last["state"], last["why"]) == ("cancelled", "overdue")
    told = """
        SELECT count(*) FROM platform.outbox
        WHERE topic = 'notification.send' AND key = :id AND convert_from(body, 'UTF8') LIKE '%order_overdue%'"""
    assert hub.sql(told, id=donor.id) == [1]
    assert ledger(donor, order)["donor"] == -5_000
    (refund,) = [row for row in hub.admin.get("/api/v1/refunds") if row["order_id"] == order["id"]]
    assert hub.admin.post("/api/v1/refunds/approve", {"key": refund["key"]})["done"]
    assert set(ledger(donor, order).values()) == {0}


def test_what_is_called_off_frees_its_seats_and_its_money_goes_back_by_another_hand(
    hub: CloudHub, donor: Person, site: str
) -> None:
    order = pay(hub, place(donor, site_id=site), 20_000)
    hub.admin.post(f"/api/v1/orders/{order['id']}/allocate", {"site_id": site})
    hub.donor("Somebody Else").post(f"/api/v1/orders/{order['id']}/cancel", status=404)
    ended = hub.admin.post(f"/api/v1/orders/{order['id']}/cancel")
    assert (ended["state"], ended["timeline"][-1]["why"]) == ("refunded", "admin")
    assert donor.post(f"/api/v1/orders/{order['id']}/cancel") == ended
    assert hub.sql("SELECT count(*) FROM executors.seats JOIN donors.shares ON id = share_id WHERE order_id = :id",
                   id=order["id"]) == [0]
    told = hub.sql("SELECT fields FROM executors.feed WHERE site_id = :site AND key = :share", site=site,
                   share=order["shares"][0]["id"])
    assert told == [None]
    (refund,) = [row for row in hub.admin.get("/api/v1/refunds") if row["order_id"] == order["id"]]
    own = hub.admin.post("/api/v1/refunds/approve", {"key": refund["key"]}, status=403)
    assert own["code"] == "four_eyes"
    second = hub.staff("admin")
    done = second.post("/api/v1/refunds/approve", {"key": refund["key"]})
    assert second.post("/api/v1/refunds/approve", {"key": refund["key"]}) == done
    assert set(ledger(donor, order).values()) == {0}
    assert len(donor.get(f"/api/v1/orders/{order['id']}/ledger")["entries"]) == 4


def test_the_database_itself_keeps_the_ledger(hub: CloudHub, donor: Person, site: str) -> None:
    order = place(donor, site_id=site)
    entry = hub.sql("SELECT id FROM donors.entries WHERE order_id = :id", id=order["id"])[0]
    for attack in (
        f"INSERT INTO donors.postings (entry_id, account, currency, minor) VALUES ({entry}, 'fee', 'EUR', 1)",
        f"UPDATE donors.postings SET minor = minor + 1 WHERE entry_id = {entry}",
        f"DELETE FROM donors.postings WHERE entry_id = {entry}",
        "TRUNCATE donors.entries CASCADE",
    ):
        with pytest.raises(IntegrityError):
            hub.run(lambda session, attack=attack: session.execute(text(attack)))
