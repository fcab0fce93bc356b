"""Animals that did not fill: a plan that somebody looks at and approves, and donors who are told why."""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import Any
from uuid import UUID

import pytest

from demo.mailbox import Mail, Mailbox
from tests.cloud_hub import CloudHub, Person


def herd(hub: CloudHub, donor: Person, **more: str) -> tuple[str, list[dict[str, Any]]]:
    """A site where three cows have two, three and four shares."""
    site = hub.site(C1="cow", **more)
    orders = [hub.allocated_order(donor, site, "cow", *"abcd")]
    for tag, names in (("C2", "efg"), ("C3", "hi")):
        full = [animal["id"] for order in orders for animal in order["animals"]]
        hub.sql("UPDATE executors.animals SET frozen = now() WHERE id = ANY(:ids) RETURNING 1", ids=[*map(UUID, full)])
        hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": tag, "species": "cow"})
        orders.append(hub.allocated_order(donor, site, "cow", *names))
    hub.sql("UPDATE executors.animals SET frozen = NULL WHERE site_id = :id RETURNING 1", id=UUID(site))
    return site, orders


def plan(hub: CloudHub, site: str, *, convert: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = hub.admin.get(f"/api/v1/sites/{site}/filling?convert={str(convert).lower()}")
    return found


def tags(hub: CloudHub, order: dict[str, Any]) -> list[str]:
    ids = [UUID(share["id"]) for share in order["shares"]]
    return sorted(hub.sql("""
        SELECT tag FROM executors.seats JOIN executors.animals animal ON animal.id = animal_id
        WHERE share_id = ANY(:ids)""", ids=ids))


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


def test_what_was_looked_at_is_done_and_the_boxes_hear_of_it(hub: CloudHub, donor: Person) -> None:
    site, orders = herd(hub, donor)
    box = hub.box(site)
    box.sync()
    found = plan(hub, site)
    assert [(each["reference"], each["from_tag"], each["to_tag"], each["why"]) for each in found["moved"]] == [
        (orders[2]["reference"], "C3", "C1", "merged")] * 2
    assert (len(found["short"]), found["stuck"]) == (2, [])
    assert tags(hub, orders[2]) == ["C3", "C3"], "to look changes nothing"

    done = hub.admin.post(f"/api/v1/sites/{site}/filling", {"plan": found["plan"]})
    assert done == found
    assert tags(hub, orders[2]) == ["C1", "C1"]
    assert plan(hub, site)["moved"] == []
    box.sync()
    on = {fields["name"]: fields["animal_id"] for fields in box.told("share").values()}
    assert on["h"] == on["i"] == on["a"] == orders[0]["animals"][0]["id"]


def test_a_plan_that_is_another_by_now_is_not_carried_out(hub: CloudHub, donor: Person) -> None:
    site, orders = herd(hub, donor)
    found = plan(hub, site)
    hub.admin.post(f"/api/v1/sites/{site}/freeze", {"animals": [orders[2]["animals"][0]["id"]]})
    path = f"/api/v1/sites/{site}/filling"
    assert hub.admin.post(path, {"plan": found["plan"]}, status=412)["code"] == "stale"
    assert hub.admin.post(path, {"plan": found["plan"], "convert": True}, status=412)
    assert [tags(hub, order) for order in orders] == [["C1"] * 4, ["C2"] * 3, ["C3"] * 2]
    moves = {(each["from_tag"], each["to_tag"]) for each in plan(hub, site)["moved"]}
    assert moves == {("C2", "C1")}, "what is frozen neither gives nor takes"
    assert donor.post(path, {"plan": found["plan"]}, status=403)


def test_whoever_is_on_an_unfit_animal_goes_elsewhere(hub: CloudHub, donor: Person) -> None:
    site = hub.site(S1="sheep", S2="sheep")
    order = hub.allocated_order(donor, site, "sheep", "a")
    hub.sql("""UPDATE executors.animals SET defects = '["lame"]' WHERE id = :id RETURNING 1""",
            id=UUID(order["animals"][0]["id"]))
    found = plan(hub, site)
    assert [(each["from_tag"], each["to_tag"], each["why"]) for each in found["moved"]] == [("S1", "S2", "unfit")]
    hub.admin.post(f"/api/v1/sites/{site}/filling", {"plan": found["plan"]})
    assert tags(hub, order) == ["S2"]
    browser = hub.browser()
    browser.cookies.set("session", hub.page_session(donor.id))
    assert 'data-moved="unfit"' in browser.get(f"/orders/{order['id']}").text, "also who gets no mail is told"


@pytest.mark.parametrize(("language", "says"), [
    ("ar", "فلكم بدل السهم رأس صغير كامل"), ("fr", "un petit animal entier"), ("en", "a small animal of your own"),
])  # fmt: skip
def test_each_donor_is_told_why_in_their_language(
    busy_hub: CloudHub, mailbox: Mailbox, language: str, says: str
) -> None:
    donor = busy_hub.donor(language=language)
    site = busy_hub.site(C1="cow", S1="sheep", S2="sheep", G1="goat")
    order = busy_hub.allocated_order(donor, site, "cow", "خديجة", "Omar")
    found = plan(busy_hub, site, convert=True)
    assert [each["to_species"] for each in found["moved"]] == ["sheep", "sheep"]
    busy_hub.admin.post(f"/api/v1/sites/{site}/filling", {"plan": found["plan"], "convert": True})
    assert tags(busy_hub, order) == ["S1", "S2"]
    assert donor.get(f"/api/v1/orders/{order['id']}")["species"] == "sheep", "no paper says that it was a cow"

    def is_it(mail: Mail) -> bool:
        return donor.email in mail.recipients and order["reference"] in str(
            message_from_bytes(mail.raw, policy=policy.default)["subject"])

    message = message_from_bytes(mailbox.wait_for(is_it, 30).raw, policy=policy.default)
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert says in text
    assert says in html
    assert "خديجة" in text
