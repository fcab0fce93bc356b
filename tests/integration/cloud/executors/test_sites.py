"""Sites, who and what is there, and what their boxes are told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from argon2 import PasswordHasher

from shared.crypto import SigningKey
from sync.messages import Enrolled, from_wire
from tests.cloud_hub import CloudHub


def test_a_box_is_told_of_its_site_and_nothing_that_it_need_not_know(hub: CloudHub) -> None:
    site, elsewhere = hub.site(S1="sheep"), hub.site(S9="sheep")
    donor = hub.donor("Amina Haddad")
    order = hub.allocated_order(donor, site, "sheep", "أحمد بن علي")
    hub.allocated_order(donor, elsewhere, "sheep", "Somebody else")
    person = {"name": "Karim", "language": "ar", "pin": "271828"}
    karim = hub.admin.post(f"/api/v1/sites/{site}/executors", person)
    box = hub.box(site)
    box.sync()

    assert box.told("site").keys() == {UUID(site)}
    assert [animal["tag"] for animal in box.told("animal").values()] == ["S1"]
    assert box.told("share") == {UUID(order["shares"][0]["id"]): {
        "animal_id": order["animals"][0]["id"], "reference": order["reference"], "name": "أحمد بن علي",
        "language": "ar", "spellings": [],
    }}
    told = box.told("executor")[UUID(karim["id"])]
    assert PasswordHasher().verify(told["pin_hash"], "271828")
    assert told["pin_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    # Neither the donor nor the PIN itself travels.
    everything = str(box.records_)
    assert not [secret for secret in (donor.email, donor.id, "Amina", "271828") if secret in everything]


def test_what_is_removed_is_told_too_and_a_second_box_never_hears_of_it(hub: CloudHub) -> None:
    site = hub.site()
    person = {"name": "Karim", "language": "ar", "pin": "271828"}
    karim = hub.admin.post(f"/api/v1/sites/{site}/executors", person)["id"]
    box = hub.box(site)
    box.sync()
    assert UUID(karim) in box.told("executor")
    for _ in range(2):
        hub.admin.ask("DELETE", f"/api/v1/sites/{site}/executors/{karim}")
    box.sync()
    assert box.told("executor") == {}
    assert hub.admin.get(f"/api/v1/sites/{site}/executors") == []
    assert hub.sql("SELECT count(*) FROM executors.feed WHERE key = :key AND fields IS NULL", key=UUID(karim)) == [1]


def test_a_box_that_reads_while_others_write_misses_nothing(hub: CloudHub) -> None:
    site = hub.site()
    box, done = hub.box(site), threading.Event()

    def read() -> int:
        rounds = 0
        while not done.is_set():
            box.sync()
            rounds += 1
        return rounds

    def write(number: int) -> None:
        hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": f"T{number}", "species": "sheep"})

    with ThreadPoolExecutor(9) as people:
        reading = people.submit(read)
        list(people.map(write, range(60)))
        done.set()
        assert reading.result() > 3
    box.sync()
    assert {animal["tag"] for animal in box.told("animal").values()} == {f"T{n}" for n in range(60)}
    cursors = hub.sql("SELECT cursor FROM executors.feed WHERE site_id = :site ORDER BY cursor", site=site)
    assert cursors == list(range(1, 62))


def test_a_code_makes_one_box_a_node_and_an_answer_that_was_lost_can_be_had_again(hub: CloudHub) -> None:
    site, key = hub.site(), SigningKey.generate()
    code = hub.admin.post(f"/api/v1/sites/{site}/enrolment-codes")["code"]
    first = from_wire(hub.enrol(code, key).body, Enrolled)
    assert first.site == UUID(site)
    assert from_wire(hub.enrol(code.lower(), key).body, Enrolled) == first
    for stranger in (SigningKey.generate(), SigningKey.generate()):
        refused = hub.enrol(code, stranger)
        assert refused.status == 403
        assert b"bad_code" in refused.body
    assert [node["id"] for node in hub.admin.get(f"/api/v1/sites/{site}/nodes")] == [str(first.node)]


def test_of_many_boxes_with_one_code_one_is_let_in(hub: CloudHub) -> None:
    site = hub.site()
    code = hub.admin.post(f"/api/v1/sites/{site}/enrolment-codes")["code"]
    with ThreadPoolExecutor(8) as boxes:
        answers = [reply.status for reply in boxes.map(lambda _: hub.enrol(code), range(12))]
    assert sorted(answers) == [200] + [403] * 11
    assert len(hub.admin.get(f"/api/v1/sites/{site}/nodes")) == 1


def test_a_code_that_was_never_given_out_is_refused_and_codes_are_kept_as_hashes(hub: CloudHub) -> None:
    assert hub.enrol("0000-0000-0000-0000").status == 403
    code = hub.admin.post(f"/api/v1/sites/{hub.site()}/enrolment-codes")["code"]
    kept = hub.sql("SELECT hash FROM executors.enrolment_codes")
    assert all(len(found) == 32 and code.replace("-", "").encode() not in found for found in kept)


@pytest.mark.parametrize(("path", "body", "status"), [
    ("sites", {"name": "A", "timezone": "Mars/Olympus", "languages": ["ar"]}, 400),
    ("sites", {"name": "A", "timezone": "Africa/Algiers", "languages": []}, 400),
    ("sites/{site}/animals", {"tag": "S1", "species": "sheep"}, 409),
    ("sites/{site}/animals", {"tag": "S2", "species": "cat"}, 400),
    ("sites/{nowhere}/animals", {"tag": "S2", "species": "sheep"}, 404),
    ("sites/{site}/executors", {"name": "K", "language": "ar", "pin": "123"}, 400),
    ("sites/{nowhere}/executors", {"name": "K", "language": "ar", "pin": "123456"}, 404),
    ("sites/{nowhere}/enrolment-codes", None, 404),
    ("nodes/{nowhere}/revoke", None, 404),
])
def test_what_cannot_be_is_refused(hub: CloudHub, site: str, path: str, body: Any, status: int) -> None:
    hub.admin.post("/api/v1/" + path.format(site=site, nowhere=uuid4()), body, status=status)


@pytest.fixture(scope="module")
def site(hub: CloudHub) -> str:
    return hub.site(S1="sheep")


def test_an_executor_is_removed_from_his_own_site_only(hub: CloudHub, site: str) -> None:
    person = {"name": "Karim", "language": "ar", "pin": "271828"}
    karim = hub.admin.post(f"/api/v1/sites/{hub.site()}/executors", person)["id"]
    hub.admin.ask("DELETE", f"/api/v1/sites/{site}/executors/{karim}", status=404)


def test_sites_are_the_staffs(hub: CloudHub, site: str) -> None:
    donor = hub.donor()
    for method, path in (("GET", "sites"), ("POST", f"sites/{site}/enrolment-codes"), ("GET", f"sites/{site}/nodes")):
        donor.ask(method, f"/api/v1/{path}", status=403)
        hub.stranger.ask(method, f"/api/v1/{path}", status=401)


def test_boxes_are_told_when_it_is_eid_at_their_site(hub: CloudHub) -> None:
    site = hub.admin.post("/api/v1/sites", {
        "name": "Mirpur", "timezone": "Asia/Karachi", "languages": ["ur"], "latitude": 33.148, "longitude": 73.752,
    })["id"]  # fmt: skip
    box = hub.box(site)
    box.sync()
    assert "eid_day" not in box.told("site")[UUID(site)]
    by_sun = hub.admin.ask("PUT", f"/api/v1/sites/{site}/eid", {"day": "2027-05-16"})
    assert by_sun["eid_begins"].startswith("2027-05-16T05:50")  # 45 minutes after sunrise
    assert by_sun["eid_ends"].startswith("2027-05-19T1")
    said = {"day": "2027-05-17", "begins": "07:10:00", "days": 3}
    by_clock = hub.admin.ask("PUT", f"/api/v1/sites/{site}/eid", said)
    assert by_clock["eid_begins"] == "2027-05-17T07:10:00+05:00"
    assert by_clock in hub.admin.get("/api/v1/sites")
    box.sync()
    told = box.told("site")[UUID(site)]
    assert [told[name] for name in ("eid_day", "eid_begins", "eid_days")] == ["2027-05-17", "07:10:00", 3]


@pytest.mark.parametrize("said", [{"day": "2027-02-30"}, {"day": "2027-05-16", "days": 5}, {"begins": "07:10:00"}])
def test_an_eid_that_there_is_not_is_refused(hub: CloudHub, said: dict[str, Any]) -> None:
    hub.admin.ask("PUT", f"/api/v1/sites/{hub.site()}/eid", said, status=400)


def test_the_eid_of_a_site_that_is_nowhere_is_refused(hub: CloudHub) -> None:
    problem = hub.admin.ask("PUT", f"/api/v1/sites/{hub.site()}/eid", {"day": "2027-05-16"}, status=400)
    assert problem["code"] == "bad_input"
    assert "where the site is" in problem["detail"]


def test_the_moon_of_a_country_counts_at_its_sites_but_for_those_with_a_day_of_their_own(hub: CloudHub) -> None:
    def there(name: str, **more: str) -> str:
        place = {"timezone": "Asia/Dhaka", "languages": ["bn"], "latitude": 23.8, "longitude": 90.4, "country": "BD"}
        return str(hub.admin.post("/api/v1/sites", {"name": name, **place, **more})["id"])

    hub.admin.ask("PUT", f"/api/v1/sites/{there('Early')}/eid", {"begins": "07:10:00"}, status=400)
    first, own, foreign = there("First"), there("Own"), there("Foreign", country="IN")
    hub.admin.ask("PUT", f"/api/v1/sites/{own}/eid", {"day": "2027-05-16"})
    box = hub.box(first)
    assert hub.admin.ask("PUT", "/api/v1/moons/BD", {"day": "2027-05-18"}) == {"country": "BD", "day": "2027-05-18"}
    assert {"country": "BD", "day": "2027-05-18"} in hub.admin.get("/api/v1/moons")
    second = there("Second")
    days = {site["id"]: site["eid_day"] for site in hub.admin.get("/api/v1/sites")}
    assert [days[site] for site in (first, second, own, foreign)] == ["2027-05-18", "2027-05-18", "2027-05-16", None]
    begun = hub.admin.ask("PUT", f"/api/v1/sites/{first}/eid", {"begins": "07:10:00"})
    assert begun["eid_begins"] == "2027-05-18T07:10:00+06:00"
    hub.admin.ask("PUT", f"/api/v1/sites/{own}/eid", {})  # follows its country from now on
    hub.admin.ask("PUT", "/api/v1/moons/BD", {"day": "2027-05-17"})
    assert hub.admin.get(f"/api/v1/sites/{own}")["eid_day"] == "2027-05-17"
    box.sync()
    assert box.told("site")[UUID(first)]["eid_day"] == "2027-05-17"
    assert hub.admin.ask("PUT", "/api/v1/moons/Bangladesh", {"day": "2027-05-17"}, status=400)["field"] == "country"
