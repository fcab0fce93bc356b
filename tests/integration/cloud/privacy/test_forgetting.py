"""Personal data are where they must be and nowhere else, come out whole, and are gone when they are erased."""

from __future__ import annotations

import asyncio
import io
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer

from cloud.platform import audit_file
from cloud.platform.audit_chain import Chain
from cloud.platform.settings import Settings
from cloud.processing import own
from demo.answers import wait_for
from demo.mailbox import Mailbox
from shared import papers
from shared.errors import QurbaniError
from tests.cloud_hub import CloudHub, Person
from tests.filmed import Filmed

NAME, HOLDER, EXECUTOR = "Zaynab Kanariya", "Layla Kanariya", "Karim Kanariya"
MAIL, PHONE = "layla.kanariya@example.org", "+213555123987"
PASSWORD = "teapot river cloud"
CANARIES = (NAME, "Zeineb Kanariya", HOLDER, EXECUTOR, MAIL, PHONE)


@pytest.fixture(scope="module")
def film(busy_hub: CloudHub, mailbox: Mailbox) -> Filmed:
    """Of a donor every field of whom is a canary, told to the end; and there is an order that nobody has paid."""
    account = {"name": HOLDER, "email": MAIL, "password": PASSWORD, "language": "fr", "phone": PHONE,
               "consents": ["order_mail"]}
    film = Filmed(busy_hub, NAME, donor=busy_hub.registered(account))
    share = {"name": NAME, "language": "ar", "spellings": ["Zeineb Kanariya"]}
    film.donor.post("/api/v1/orders", {"species": "goat", "shares": [share]})
    executor = {"name": EXECUTOR, "language": "ar", "pin": "493817"}
    busy_hub.admin.post(f"/api/v1/sites/{film.site}/executors", executor)
    film.tell()
    film.judge()
    film.send()
    mailbox.wait_for(film.is_told_by, 60)
    wait_for("the notice to be marked", lambda: [
        one["state"] for one in busy_hub.admin.get(f"/api/v1/notifications?order_id={film.order_id}")] == ["sent"])
    return film


def test_no_table_key_or_message_holds_them_in_the_clear(film: Filmed, busy_hub: CloudHub) -> None:
    tables = busy_hub.sql("""
        SELECT table_schema || '.' || table_name FROM information_schema.tables
        WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'""")
    assert len(tables) > 40
    dump = "\n".join(row for table in tables for row in busy_hub.sql(f"SELECT t::text FROM {table} t"))
    stores = {"tables": dump.encode(), "Redis": in_redis(busy_hub), "Kafka": asyncio.run(in_kafka(busy_hub))}
    # The control: what is no secret is found.
    assert film.site.encode() in stores["tables"]
    assert str(film.order_id).encode() in stores["Kafka"]
    assert stores["Redis"]
    for where, held in stores.items():
        for canary in CANARIES:
            assert canary.encode() not in held, (where, canary)
            assert canary.encode().hex().encode() not in held, (where, canary)


def in_redis(hub: CloudHub) -> bytes:
    async def read(session: object) -> bytes:
        redis = hub.platform.redis
        keys = [key async for key in redis.scan_iter("*")]
        return b"\n".join([*map(bytes_of, keys), *[await redis.dump(key) or b"" for key in keys]])

    found: bytes = hub.run(read)
    return found


def bytes_of(key: str | bytes) -> bytes:
    return key if isinstance(key, bytes) else key.encode()


async def in_kafka(hub: CloudHub) -> bytes:
    chosen: Settings = hub.platform.settings
    consumer = AIOKafkaConsumer(bootstrap_servers=chosen.kafka, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        topics = [topic for topic in await consumer.topics() if topic.startswith(chosen.kafka_prefix)]
        consumer.subscribe(topics)
        found: list[bytes] = []
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=100)
        ends = await consumer.end_offsets(consumer.assignment())
        await consumer.seek_to_beginning()
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [(record.key or b"") + record.value for record in records]
        return b"\n".join(found)
    finally:
        await consumer.stop()


def test_what_one_gets_of_oneself_is_everything(film: Filmed, busy_hub: CloudHub) -> None:
    mine = str(film.donor.get("/api/v1/me/export"))
    for canary in (NAME, "Zeineb Kanariya", HOLDER, MAIL, PHONE, film.order_id, str(film.video), "order_mail"):
        assert canary in mine
    assert EXECUTOR not in mine  # that is another person
    assert str(busy_hub.admin.get(f"/api/v1/donors/{film.donor.id}/export")["orders"]) in mine
    film.donor.get(f"/api/v1/donors/{film.donor.id}/export", status=403)
    found = busy_hub.admin.post("/api/v1/donors/find", {"phone": PHONE})
    assert [one["id"] for one in found] == [film.donor.id]
    assert busy_hub.admin.post("/api/v1/donors/find", {"email": MAIL.upper()}) == found
    assert busy_hub.admin.post("/api/v1/donors/find", {"phone": "+213555000000"}) == []


def test_nothing_is_agreed_to_until_it_is_and_withdrawn_is_withdrawn(busy_hub: CloudHub, mailbox: Mailbox) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    [purpose] = film.donor.get("/api/v1/consents")
    assert purpose["given"]
    for _ in range(2):
        [purpose] = film.donor.ask("PUT", "/api/v1/consents", {"purpose": "order_mail", "agreed": False})
        assert purpose["given"] is None
    film.tell()
    film.judge()
    film.send()
    wait_for("the notice to be skipped", lambda: [
        (one["state"], one["reason"]) for one in busy_hub.admin.get(f"/api/v1/notifications?order_id={film.order_id}")
    ] == [("skipped", "no_consent")])
    assert not any(map(film.is_told_by, mailbox.messages))
    film.donor.ask("PUT", "/api/v1/consents", {"purpose": "order_mail", "agreed": True})
    film.donor.ask("PUT", "/api/v1/consents", {"purpose": "everything", "agreed": True}, status=400)


def test_orders_that_are_under_way_keep_their_donor(hub: CloudHub) -> None:
    donor, site = hub.donor(), hub.site(A1="sheep")
    order = hub.allocated_order(donor, site, "sheep", "Ahmed Benali")
    refused = donor.post("/api/v1/me/erase", {"password": donor.password}, status=409)
    assert (refused["code"], refused["orders"]) == ("open_orders", [order["reference"]])
    assert hub.admin.post(f"/api/v1/donors/{donor.id}/erase", {"reason": "asked"}, status=409)["code"] == "open_orders"
    assert donor.post("/api/v1/me/erase", {"password": "not this one, surely"}, status=401)["code"] == "bad_credentials"
    hub.admin.get(f"/api/v1/erasures/{donor.id}", status=404)


def test_who_is_erased_is_gone_everywhere_and_the_audit_stays_whole(film: Filmed, busy_hub: CloudHub) -> None:
    film.box.sync()
    assert NAME in str(film.box.told("share"))
    erase = f"/api/v1/donors/{film.donor.id}/erase"
    receipt = busy_hub.admin.http.post(erase, json={"reason": "asked"})
    assert receipt.status_code == 200
    paper, key = papers.read(receipt.content), busy_hub.platform.keys.sign.public
    told = paper.facts
    assert paper.checked() == key
    assert (paper.kind, told["reason"]) == ("erasure", "asked")
    assert (told["donor"], told["keys"], told["shares"], told["sites"]) == (film.donor.id, 2, 2, [film.site])
    with pytest.raises(QurbaniError, match="bad_signature"):
        papers.read(receipt.content.replace(b'"asked"', b'"expired"')).checked()
    assert busy_hub.admin.http.post(erase, json={"reason": "unlawful"}).content == receipt.content
    assert busy_hub.admin.http.get(f"/api/v1/erasures/{film.donor.id}").content == receipt.content

    film.box.sync()
    assert NAME not in str(film.box.told("share"))
    order = busy_hub.admin.get(f"/api/v1/orders/{film.order_id}")
    assert (order["state"], [share["name"] for share in order["shares"]]) == ("verified", [""])
    assert busy_hub.admin.get(f"/api/v1/orders/{film.order_id}/ledger")
    with pytest.raises(QurbaniError, match="not_found"):  # a copy in which nothing is muted would say everything
        busy_hub.run(lambda session: own.mutes(session, film.video, UUID(film.donor.id)))
    after = str(busy_hub.admin.get(f"/api/v1/donors/{film.donor.id}/export"))
    assert not [canary for canary in CANARIES if canary in after]
    film.donor.get("/api/v1/orders", status=401)
    assert busy_hub.admin.post("/api/v1/donors/find", {"phone": PHONE}) == []
    account = {"name": HOLDER, "email": MAIL, "password": PASSWORD, "language": "fr"}
    assert busy_hub.stranger.post("/api/v1/auth/sign-in", {"email": MAIL, "password": PASSWORD}, status=401)
    Person(busy_hub.stranger.http).post("/api/v1/donors", account)  # the address is free

    chain = Chain(busy_hub.platform.database, busy_hub.platform.clock, busy_hub.platform.keys.sign, 1)
    while busy_hub.run(lambda session: chain.link_page()):
        pass
    file = io.BytesIO()
    busy_hub.run(lambda session: audit_file.write(session, file, key))
    assert b"privacy.erase" in file.getvalue()
    file.seek(0)
    assert list(audit_file.verify(file, [], key)) == []
