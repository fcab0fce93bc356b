"""Which share gets a seat on which animal: never an eighth on a cow, nor a second on a sheep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from tests.cloud_hub import CloudHub, Person

TAKE = """
    INSERT INTO executors.seats (share_id, animal_id, number, capacity)
    VALUES (:share, :animal, :number, :capacity) RETURNING 1"""


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


def seats(hub: CloudHub, site: str) -> dict[str, int]:
    """How many shares are on each animal of a site, by its tag."""
    return dict(hub.sql("""
        SELECT tag, count(share_id) FROM executors.animals LEFT JOIN executors.seats ON animal_id = id
        WHERE site_id = :site GROUP BY tag""", site=site))


def test_of_fifty_who_want_the_seats_of_a_cow_at_once_seven_get_one(hub: CloudHub, donor: Person) -> None:
    site = hub.site(C1="cow")
    orders = [hub.paid_order(donor, "cow", f"Name {n}")["id"] for n in range(50)]
    with ThreadPoolExecutor(50) as desks:
        answers = list(desks.map(
            lambda order: hub.admin.http.post(f"/api/v1/orders/{order}/allocate", json={"site_id": site}), orders))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [409] * 43
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"full"}
    assert seats(hub, site) == {"C1": 7}
    by_state = {order["id"]: order["state"] for order in donor.get("/api/v1/orders")}
    assert all(
        by_state[order] == ("allocated" if answer.status_code == 200 else "paid")
        for order, answer in zip(orders, answers, strict=True)
    )


@pytest.mark.parametrize(("species", "capacity"), [("cow", 7), ("camel", 7), ("sheep", 1), ("goat", 1)])
def test_the_database_itself_refuses_one_share_too_many(hub: CloudHub, species: str, capacity: int) -> None:
    site = hub.site(A1=species)
    animal = hub.admin.get(f"/api/v1/sites/{site}/animals")[0]
    assert animal["capacity"] == capacity

    def take(number: int, claimed: int = capacity) -> None:
        hub.sql(TAKE, share=uuid4(), animal=animal["id"], number=number, capacity=claimed)

    for number in range(1, capacity + 1):
        take(number)
    for number, claimed in ((capacity + 1, capacity), (0, capacity), (1, capacity), (capacity + 1, capacity + 1)):
        with pytest.raises(IntegrityError):
            take(number, claimed)
    assert seats(hub, site) == {"A1": capacity}


def test_begun_animals_fill_first_and_an_order_may_lie_on_two(hub: CloudHub, donor: Person) -> None:
    site = hub.site(C1="cow", C2="cow", S1="sheep")
    assert len(hub.allocated_order(donor, site, "cow", *"abcde")["animals"]) == 1
    assert len(hub.allocated_order(donor, site, "cow", *"fghi")["animals"]) == 2
    assert len(hub.allocated_order(donor, site, "cow", *"jkl")["animals"]) == 1
    found = seats(hub, site)
    assert sorted(found.values()) == [0, 5, 7]
    assert found["S1"] == 0


def test_an_order_gets_all_of_its_seats_or_none(hub: CloudHub, donor: Person) -> None:
    site = hub.site(C1="cow")
    hub.allocated_order(donor, site, "cow", *"abcd")
    order = hub.paid_order(donor, "cow", *"efgh")
    refused = hub.admin.post(f"/api/v1/orders/{order['id']}/allocate", {"site_id": site}, status=409)
    assert refused["code"] == "full"
    assert seats(hub, site) == {"C1": 4}
    assert donor.get(f"/api/v1/orders/{order['id']}")["state"] == "paid"


def test_allocating_again_changes_nothing(hub: CloudHub, donor: Person) -> None:
    site = hub.site(S1="sheep", S2="sheep")
    order = hub.allocated_order(donor, site, "sheep", "Ahmed")
    again = hub.admin.post(f"/api/v1/orders/{order['id']}/allocate", {"site_id": site})
    assert again == order["animals"]
    assert sum(seats(hub, site).values()) == 1


def test_an_order_that_is_not_paid_gets_no_seat(hub: CloudHub, donor: Person) -> None:
    site = hub.site(S1="sheep")
    order: dict[str, Any] = donor.post(
        "/api/v1/orders", {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]})
    path = f"/api/v1/orders/{order['id']}/allocate"
    assert hub.admin.post(path, {"site_id": site}, status=409)["code"] == "bad_transition"
    assert hub.admin.post(path, {"site_id": str(uuid4())}, status=404)
    assert donor.post(path, {"site_id": site}, status=403)


def test_of_fifty_who_want_the_last_seat_of_a_cow_at_once_one_gets_it(hub: CloudHub, donor: Person) -> None:
    site = hub.site(C1="cow")
    hub.allocated_order(donor, site, "cow", *"abcdef")
    orders = [hub.paid_order(donor, "cow", f"Name {n}")["id"] for n in range(50)]
    together = Barrier(50)

    def buy(order: str) -> int:
        together.wait(30)
        return hub.admin.http.post(f"/api/v1/orders/{order}/allocate", json={"site_id": site}).status_code

    with ThreadPoolExecutor(50) as desks:
        answers = list(desks.map(buy, orders))
    assert sorted(answers) == [200] + [409] * 49
    assert seats(hub, site) == {"C1": 7}


def test_where_no_site_is_named_it_is_the_cheapest_with_room_in_the_country(hub: CloudHub, donor: Person) -> None:
    def place(country: str, minor: int, *tags: str) -> str:
        new = {"name": f"{country} {minor}", "timezone": "UTC", "languages": ["ar"], "country": country}
        site = str(hub.admin.post("/api/v1/sites", new)["id"])
        for tag in tags:
            hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": tag, "species": "camel"})
        price = {"species": "camel", "currency": "XOF", "animal": minor, "transport": 0, "fee": 0}
        hub.admin.ask("PUT", f"/api/v1/sites/{site}/prices", price)
        return site

    cheap, dear, fuller = place("ML", 90, "M1"), place("ML", 100, "M2", "M3"), place("ML", 100, "M4")
    other, beyond = place("SN", 95, "N1"), place("ML", 101, "M5")

    def allocated(names: str, **where: str) -> str:
        order = hub.paid_order(donor, "camel", *names)
        agreed = "UPDATE donors.orders SET currency = 'XOF', minor = :minor WHERE id = :id RETURNING 1"
        hub.sql(agreed, id=UUID(order["id"]), minor=100 * len(names))
        (animal,) = hub.admin.post(f"/api/v1/orders/{order['id']}/allocate", where)
        return str(animal["site_id"])

    assert allocated("abcdef", country="ML") == cheap
    assert allocated("ab", country="ML") == fuller, "one seat is left at the cheapest, and there are two of them"
    assert allocated("a", country="ML") == cheap
    assert allocated("a", country="SN") == other
    assert allocated("a") == other, "of all countries, it is the cheapest with room"
    assert allocated("abcdef", country="ML") == dear
    assert allocated("a", country="ML", site_id=beyond) == beyond, "whoever names a site has decided"
    order = hub.paid_order(donor, "camel", *"abcdefg")
    refused = hub.admin.post(f"/api/v1/orders/{order['id']}/allocate", {"country": "ES"}, status=409)
    assert refused["code"] == "full"
