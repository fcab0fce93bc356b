"""Ordering in a browser without a script: names, a price, instalments, paying, and where the money went."""

from __future__ import annotations

import re
import secrets
from datetime import date
from typing import Any

import httpx
import pytest

from cloud.pages.ordering import monthly
from demo.browser import Browser
from tests.cloud_hub import CloudHub, Person
from tests.integration.cloud.pages.test_mine import signed_in

PRICE = {"species": "cow", "currency": "EUR", "animal": 17_000, "transport": 2_000, "fee": 1_001}


@pytest.fixture(scope="module")
def priced(hub: CloudHub) -> str:
    """A site at which a share of a cow costs 200.01 EUR."""
    site = hub.site(C1="cow")
    hub.admin.ask("PUT", f"/api/v1/sites/{site}/prices", PRICE)
    return site


@pytest.fixture
def donor(hub: CloudHub) -> Person:
    return hub.donor(language="en")


@pytest.fixture
def browser(hub: CloudHub, donor: Person) -> Browser:
    return signed_in(hub, donor)


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return found[1]


def typed(page: httpx.Response, site: str, *names: str, **more: str) -> dict[str, str]:
    """The form with these names on it."""
    rows = {f"{field}-{at}": value for at, name in enumerate(names)
            for field, value in (("name", name), ("language", "ar"))}  # fmt: skip
    plain = {"count": str(len(names)), "offer": f"cow/EUR/{site}", "parts": "1"}
    return {"id": hidden(page, "id"), **plain, **rows, **more}


def test_an_order_is_placed_with_several_names_and_its_price_seen_before(
    browser: Browser, donor: Person, priced: str
) -> None:
    page = browser.get("/orders/new")
    assert "€200.01" in page.text
    for button, count in (("more", 2), ("more", 3), ("fewer", 2)):
        page = browser.post("/orders/new", data={**typed(page, priced, "Ahmed", *[""] * (count - 2)), "do": button})
        assert page.text.count('name="name-') >= 1
    form = typed(page, priced, "Ahmed Benali", "خديجة", **{"deceased-1": "yes", "anonymous-1": "yes",
                 "phone-1": "+213 661 00 00 00", "spelling-1": "Khadija"}, parts="3")  # fmt: skip
    quoted = browser.post("/orders/new", data={**form, "do": "see"})
    assert "€400.02" in quoted.text
    assert quoted.text.count("€133.34") == 3
    assert donor.get("/api/v1/orders") == [], "looking costs nothing"
    form["minor"] = hidden(quoted, "minor")
    placed = browser.post("/orders/new", data={**form, "do": "order"})
    (order,) = donor.get("/api/v1/orders")
    assert placed.url.path == f"/orders/{order['id']}"
    assert (order["minor"], order["currency"], order["site_id"]) == (40_002, "EUR", priced)
    assert [(share["name"], share["deceased"], share["anonymous"], share["phone"], share["spellings"])
            for share in order["shares"]] == [
        ("Ahmed Benali", False, False, "", []), ("خديجة", True, True, "+213661000000", ["Khadija"])]
    assert [each["minor"] for each in order["instalments"]] == [13_334] * 3
    assert browser.post("/orders/new", data={**form, "do": "order"}).url.path == placed.url.path
    assert len(donor.get("/api/v1/orders")) == 1, "a form that is sent twice is one order"
    assert "€133.34" in placed.text
    assert order["reference"] in placed.text


def test_a_price_that_changed_meanwhile_is_shown_again(
    hub: CloudHub, browser: Browser, donor: Person, priced: str
) -> None:
    before = len(donor.get("/api/v1/orders"))
    form = typed(browser.get("/orders/new"), priced, "Ahmed", minor="19999", do="order")
    shown = browser.post("/orders/new", data=form)
    assert shown.url.path == "/orders/new"
    assert hidden(shown, "minor") == "20001"
    assert len(donor.get("/api/v1/orders")) == before


@pytest.mark.parametrize(("change", "words"), [
    ({"name-0": " "}, "Every share needs a name"),
    ({"phone-0": "0612345678"}, "A phone number begins with +"),
    ({"offer": "dragon/EUR/"}, "Please choose an animal"),
    ({"offer": "cow/XXX/"}, "Please choose an animal"),
    ({"offer": ""}, "Please choose an animal"),
    ({"offer": "cow/EUR/nowhere"}, "Please choose an animal"),
])  # fmt: skip
def test_what_was_typed_comes_back_with_what_is_wrong(
    browser: Browser, priced: str, change: dict[str, str], words: str
) -> None:
    form = typed(browser.get("/orders/new"), priced, "Zohra Q", **{"phone-0": "+33612345678"})
    shown = browser.post("/orders/new", data={**form, "spelling-0": "زهرة", **change, "do": "see"})
    assert (shown.status_code, words in shown.text) == (400, True), shown.text
    assert "زهرة" in shown.text
    assert 'role="alert"' in shown.text


def test_what_is_no_form_of_ours_is_refused(hub: CloudHub, browser: Browser, priced: str) -> None:
    form = typed(browser.get("/orders/new"), priced, "Ahmed")
    for nonsense in ({"id": "x"}, {"count": "many"}, {"parts": "x"}, {"name-0": "\0"}):
        assert browser.post("/orders/new", data={**form, **nonsense, "do": "see"}).status_code in (200, 400)
    other = hub.donor(language="en")
    theirs = other.post("/api/v1/orders", {"species": "cow", "currency": "EUR", "site_id": priced,
                                           "shares": [{"name": "A", "language": "ar"}]})  # fmt: skip
    taken = browser.post("/orders/new", data={**form, "id": theirs["id"], "minor": "20001", "do": "order"})
    assert taken.status_code == 404


def test_money_is_told_to_the_penny_on_a_page_that_sums_to_zero(
    hub: CloudHub, browser: Browser, donor: Person, priced: str
) -> None:
    shares = [{"name": "Ahmed", "language": "ar"}]
    order = donor.post("/api/v1/orders", {"species": "cow", "currency": "EUR", "site_id": priced, "shares": shares})
    path = f"/orders/{order['id']}"
    assert "To pay now" in browser.get(path).text
    payment: dict[str, Any] = {"key": secrets.token_hex(8), "minor": 20_001, "currency": "EUR", "method": "cash"}
    hub.admin.post(f"/api/v1/orders/{order['id']}/payments", payment)
    assert "To pay now" not in browser.get(path).text
    page = browser.get(f"{path}/ledger")
    sums = re.findall(r'data-sum="([^"]*)"', page.text)
    assert sums == ["0", "0", "0"]
    for amount in ("€200.01", "-€170.00", "-€20.00", "-€10.01", "€0.00"):
        assert amount in page.text, amount
    other = signed_in(hub, hub.donor(language="en"))
    assert other.get(f"{path}/ledger").status_code == 404


def test_where_no_cards_are_taken_one_is_told_how_to_pay_by_hand(
    browser: Browser, donor: Person, priced: str
) -> None:
    new = {"species": "cow", "currency": "EUR", "site_id": priced, "shares": [{"name": "Ahmed", "language": "ar"}]}
    order = donor.post("/api/v1/orders", new)
    page = browser.get(f"/orders/{order['id']}")
    assert "In cash or by transfer" in page.text
    assert f"<bdi>{order['reference']}</bdi>" in page.text
    assert "Pay by card" not in page.text
    assert browser.post(f"/orders/{order['id']}/pay").status_code == 404


@pytest.mark.parametrize(("minor", "parts", "first", "told"), [
    (10_000, 1, date(2026, 1, 5), []),
    (100, 3, date(2026, 11, 30), [(date(2026, 11, 30), 34), (date(2026, 12, 30), 33), (date(2027, 1, 30), 33)]),
    (7, 2, date(2028, 1, 31), [(date(2028, 1, 31), 4), (date(2028, 2, 29), 3)]),
])  # fmt: skip
def test_instalments_are_months_and_sum_up(
    minor: int, parts: int, first: date, told: list[tuple[date, int]]
) -> None:
    found = monthly(minor, parts, first)
    assert [(each.due, each.minor) for each in found] == told
    assert sum(each.minor for each in found) in (minor, 0)
