"""Requests that are repeated under a key have one effect and one answer, also from another process."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.platform.idempotency import KEPT
from tests.cloud_hub import CloudHub, Person, running

ORDER: dict[str, Any] = {"species": "cow", "shares": [{"name": "Zohra Canary-7731", "language": "fr"}]}
PLACE = "/api/v1/orders"


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


@pytest.fixture
def key() -> str:
    return secrets.token_urlsafe(16)


def ask(who: Person, key: str, body: Any = ORDER, path: str = PLACE, method: str = "POST") -> httpx.Response:
    return who.http.request(method, path, json=body, headers={"idempotency-key": key})


def placed(hub: CloudHub, donor: Person) -> int:
    return int(hub.sql("SELECT count(*) FROM donors.orders WHERE donor_id = :id", id=donor.id)[0])


def test_a_repeat_has_no_effect_and_gets_the_first_answer(hub: CloudHub, donor: Person, key: str) -> None:
    before = placed(hub, donor)
    first = ask(donor, key)
    assert (first.status_code, first.headers.get("idempotency-replayed")) == (201, None)
    for shape in (key, f'"{key}"', key):
        again = ask(donor, shape)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["content-type"] == first.headers["content-type"]
    assert placed(hub, donor) == before + 1


def test_of_many_at_once_one_has_an_effect_and_the_others_are_told_to_wait(
    hub: CloudHub, donor: Person, key: str
) -> None:
    before = placed(hub, donor)
    with ThreadPoolExecutor(20) as taps:
        answers = list(taps.map(lambda _: ask(donor, key), range(20)))
    assert placed(hub, donor) == before + 1
    done = {answer.content for answer in answers if answer.status_code == 201}
    assert len(done) == 1
    for waits in (answer for answer in answers if answer.status_code != 201):
        assert (waits.status_code, waits.json()["code"], waits.headers["retry-after"]) == (409, "in_flight", "1")
    assert {ask(donor, key).content} == done


def test_a_request_under_way_is_not_begun_twice(hub: CloudHub, donor: Person, key: str) -> None:
    """Not by luck: whichever comes first waits here for a row that this test holds."""
    order = donor.post(PLACE, ORDER)
    body = {"key": secrets.token_hex(8), "minor": 5, "currency": "EUR", "method": "cash"}
    with ThreadPoolExecutor(3) as clerks, held(hub, clerks, order["id"]):
        asked = [clerks.submit(ask, hub.admin, key, body, f"{PLACE}/{order['id']}/payments") for _ in range(2)]
        (second,), (first,) = wait(asked, 30, FIRST_COMPLETED)
        assert (second.result().status_code, second.result().json()["code"]) == (409, "in_flight")
    assert first.result(30).status_code == 200
    assert ask(hub.admin, key, body, f"{PLACE}/{order['id']}/payments").content == first.result().content


@contextmanager
def held(hub: CloudHub, clerks: ThreadPoolExecutor, order_id: str) -> Iterator[None]:
    """Nobody else can change this order meanwhile."""
    has_it, may_go = threading.Event(), threading.Event()

    async def hold(session: AsyncSession) -> None:
        await donors.hold(session, [UUID(order_id)])
        has_it.set()
        await asyncio.to_thread(may_go.wait, 30)

    holding = clerks.submit(hub.run, hold)
    assert has_it.wait(30)
    try:
        yield
    finally:
        may_go.set()
        holding.result(30)


def test_another_process_gives_the_same_answer(hub: CloudHub, donor: Person, key: str) -> None:
    first = ask(donor, key)
    with running(hub.platform.settings, admin=f"{key}@example.org") as reborn:
        again = ask(reborn.trusting(donor.id), key)
    assert (again.status_code, again.content) == (201, first.content)


def test_a_key_belongs_to_who_sent_it_and_to_what_was_asked(hub: CloudHub, donor: Person, key: str) -> None:
    first, other = ask(donor, key), hub.donor("Somebody Else")
    for body, path in (({**ORDER, "species": "camel"}, PLACE), (ORDER, f"{PLACE}?x=1")):
        refused = ask(donor, key, body, path)
        assert (refused.status_code, refused.json()["code"]) == (422, "key_reused")
    theirs = ask(other, key)
    assert theirs.status_code == 201
    assert theirs.json()["id"] != first.json()["id"]
    assert ask(hub.stranger, key).status_code == 401


def test_what_was_refused_had_no_effect_and_may_be_corrected(hub: CloudHub, donor: Person, key: str) -> None:
    assert ask(donor, key, {**ORDER, "species": "dragon"}).status_code == 400
    assert ask(donor, key).status_code == 201


@pytest.mark.parametrize("key", ["", '""', "with space", "x" * 256, "é"])
def test_what_is_no_key_is_refused(donor: Person, key: str) -> None:
    answer = donor.http.post(PLACE, json=ORDER, headers={b"idempotency-key": key.encode()})
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")


def test_an_effect_without_its_answer_is_not_committed(hub: CloudHub, donor: Person, key: str) -> None:
    """As where the process is killed between the two."""
    before = placed(hub, donor)
    change(hub, "ADD CONSTRAINT broken CHECK (false) NOT VALID")
    try:
        answer = ask(donor, key)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert placed(hub, donor) == before
    finally:
        change(hub, "DROP CONSTRAINT broken")
    assert ask(donor, key).status_code == 201
    assert placed(hub, donor) == before + 1


def change(hub: CloudHub, how: str) -> None:
    hub.run(lambda session: session.execute(text(f"ALTER TABLE platform.answers {how}")))


def test_who_lost_a_role_gets_its_answers_no_more(hub: CloudHub, key: str) -> None:
    body, path = {"name": "A site", "timezone": "Africa/Algiers", "languages": ["ar"]}, "/api/v1/sites"
    clerk = hub.staff("admin")
    assert ask(clerk, key, body, path).status_code == 201
    hub.sql("UPDATE auth.users SET role = 'auditor' WHERE id = :id RETURNING 1", id=clerk.id)
    assert ask(clerk, key, body, path).status_code == 403


def test_nothing_of_an_answer_can_be_read_in_the_database(hub: CloudHub, donor: Person, key: str) -> None:
    ask(donor, key)
    rows = b"".join(hub.sql("SELECT name || asked || sealed FROM platform.answers"))
    assert b"Canary-7731" not in rows
    assert key.encode() not in rows


def test_what_is_too_old_goes_with_the_next(hub: CloudHub, donor: Person, key: str) -> None:
    first = ask(donor, key)
    old = hub.platform.clock.now() - KEPT - timedelta(minutes=1)
    hub.sql("UPDATE platform.answers SET at = :old RETURNING 1", old=old)
    ask(donor, f"{key}-next")
    assert hub.sql("SELECT count(*) FROM platform.answers") == [1]
    assert ask(donor, key).json()["id"] != first.json()["id"]
