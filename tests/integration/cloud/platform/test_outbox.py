"""From a commit to the effect in another service: once, in order, whatever is down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import chain
from itertools import count as count_from
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import RecordMetadata
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import kafka, outbox, queues
from cloud.platform.consumer import TRIES, Consumer, Handler
from cloud.platform.core import Platform
from cloud.platform.forever import forever
from cloud.platform.outbox import BrokerForgot, Relay
from demo.servers.kafka import start as start_kafka
from demo.servers.server import Port
from shared.errors import QurbaniError
from shared.events import Event, NotificationWanted, decode
from shared.ids import new_id
from tests.effects import TOPIC, affect, beside, count, effects, eventually, tell

GROUP = "tests"
GROUPS = {TOPIC: {GROUP}}


async def note(session: AsyncSession, event: Event, data: Any) -> None:
    await affect(session, data.template)


def relay(platform: Platform) -> Relay:
    return Relay(platform.database, platform.settings, platform.clock, GROUPS)


def consumer(platform: Platform, handle: Any = note, group: str = GROUP) -> Consumer:
    return Consumer(group, {TOPIC: Handler(TOPIC, group, handle)}, platform.database, platform.settings)


async def messages(platform: Platform, topic: str, wanted: int) -> list[ConsumerRecord]:
    """At least ``wanted`` messages of a topic, and whatever follows within half a second."""
    found: list[ConsumerRecord] = []
    await kafka.create_topics(platform.settings, [topic.removesuffix(kafka.DEAD)])
    reader = AIOKafkaConsumer(
        platform.settings.kafka_prefix + topic,
        bootstrap_servers=platform.settings.kafka, group_id=None, auto_offset_reset="earliest",
    )  # fmt: skip
    async with reader, asyncio.timeout(20):
        more: Mapping[Any, list[ConsumerRecord]] = {}
        while len(found) < wanted or more:
            more = await reader.getmany(timeout_ms=500)
            found += chain(*more.values())
    return found


async def test_what_is_rolled_back_is_never_told(platform: Platform) -> None:
    async def fail() -> None:
        async with platform.database.begin() as session:
            await affect(session, "never")
            wanted = NotificationWanted(new_id(), new_id(), new_id(), "never", {})
            await outbox.publish(session, TOPIC, wanted, subject=new_id(), now=platform.clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await tell(platform, "kept")
    async with beside(relay(platform).live(), consumer(platform).live()):
        assert await eventually(platform, 1) == ["kept"]
    assert await count(platform, "SELECT count(*) FROM platform.outbox") == 1


async def test_events_of_one_subject_arrive_in_order_and_once_although_two_relays_run(platform: Platform) -> None:
    subjects = [new_id() for _ in range(5)]
    async with beside(relay(platform).live(), relay(platform).live(), consumer(platform).live()):
        for n in range(100):
            await tell(platform, f"{n % 5} {n:03}", subjects[n % 5])
        found = await eventually(platform, 100)
    for subject in range(5):
        told = [what for what in found if what.startswith(f"{subject} ")]
        assert told == sorted(told)
        assert len(told) == 20
    assert len(await messages(platform, TOPIC, 100)) == 100


async def test_an_event_reaches_its_consumer_at_once_and_not_at_the_next_sweep(platform: Platform) -> None:
    patient = msgspec.structs.replace(platform.settings, sweep_s=60.0)
    sender = Relay(platform.database, patient, platform.clock, GROUPS)
    async with beside(sender.live(), consumer(platform).live()):
        await tell(platform, "first")
        await eventually(platform, 1)
        began = asyncio.get_running_loop().time()
        await tell(platform, "second")
        await eventually(platform, 2)
        assert asyncio.get_running_loop().time() - began < 2


async def test_without_a_broker_the_outbox_grows_and_drains_in_order_later(platform: Platform) -> None:
    nowhere = msgspec.structs.replace(platform.settings, kafka="127.0.0.1:1")
    subject = new_id()
    async with beside(forever("relay", Relay(platform.database, nowhere, platform.clock, GROUPS).live)):
        for n in range(10):
            await tell(platform, str(n), subject)
        async with platform.database.begin() as session:
            assert await outbox.backlog(session) == 10
    async with beside(relay(platform).live(), consumer(platform).live()):
        assert await eventually(platform, 10) == [str(n) for n in range(10)]
    async with platform.database.begin() as session:
        assert await outbox.backlog(session) == 0


class Unsure:
    """A broker that times out on chosen events, as a real one does for seconds at a time."""

    def __init__(self, *refused: str, end: int = 0) -> None:
        self.refused = refused
        self.offsets = count_from(end)
        self.taken: list[str] = []

    async def send_and_wait(self, topic: str, body: bytes, key: bytes) -> RecordMetadata:
        _, data = decode(body)
        await asyncio.sleep(0)
        if data.template in self.refused:
            raise KafkaTimeoutError
        self.taken.append(data.template)
        return RecordMetadata(topic, 0, TopicPartition(topic, 0), next(self.offsets), -1, 0, 0)


async def test_what_comes_after_a_failed_event_waits_for_it_and_other_subjects_do_not(platform: Platform) -> None:
    a, b = new_id(), new_id()
    for what, subject in (("a1", a), ("b1", b), ("a2", a), ("a3", a), ("b2", b)):
        await tell(platform, what, subject)
    broker = Unsure("a2")
    with pytest.raises(KafkaTimeoutError):
        await relay(platform).send_page(broker)  # type: ignore[arg-type]
    assert sorted(broker.taken) == ["a1", "b1", "b2"]
    well = Unsure(end=3)
    assert await relay(platform).send_page(well) == 2  # type: ignore[arg-type]
    assert well.taken == ["a2", "a3"]


async def test_a_message_that_comes_twice_has_its_effect_once(platform: Platform) -> None:
    await tell(platform, "once")
    async with beside(relay(platform).live()):
        [message] = await messages(platform, TOPIC, 1)
    async with kafka.producer(platform.settings) as producer:
        for _ in range(5):
            await producer.send_and_wait(message.topic, message.value, key=message.key)
    await tell(platform, "after")
    async with beside(relay(platform).live(), consumer(platform).live()):
        assert sorted(await eventually(platform, 2)) == ["after", "once"]
        await messages(platform, TOPIC, 7)
    assert len(await effects(platform)) == 2


async def test_a_poison_event_is_laid_aside_with_its_reason_and_holds_up_nobody(platform: Platform) -> None:
    tries: list[UUID] = []

    async def choke(session: AsyncSession, event: Event, data: Any) -> None:
        await affect(session, data.template)
        if data.template == "poison":
            tries.append(event.id)
            raise ValueError("cannot be swallowed")

    subject = new_id()
    for what in ("before", "poison", "after"):
        await tell(platform, what, subject)
    async with beside(relay(platform).live(), consumer(platform, choke).live()):
        assert await eventually(platform, 2) == ["before", "after"]
        [dead] = await messages(platform, TOPIC + kafka.DEAD, 1)
    assert len(tries) == TRIES
    headers = {name: value.decode() for name, value in dead.headers}
    assert headers["attempts"] == str(TRIES)
    assert headers["group"] == GROUP
    assert "cannot be swallowed" in headers["reason"]
    assert headers["source"].startswith(platform.settings.kafka_prefix + TOPIC)

    # It is a row as well: it outlives the broker.
    async with platform.database.begin() as session:
        [letter] = (await queues.standing(session, platform.clock.now())).aside
    assert (letter.what, letter.queue, letter.who, letter.attempts) == ("letter", TOPIC, GROUP, TRIES)
    assert (letter.reason, letter.about) == (headers["reason"], headers["source"])

    # Mended, and sent round again: only what was not finished comes.
    async with platform.database.begin() as session:
        assert await queues.take_up(session, platform.clock.now(), "letter", letter.id) == 1
    async with beside(relay(platform).live(), consumer(platform).live()):
        assert await eventually(platform, 3) == ["before", "after", "poison"]
    async with platform.database.begin() as session:
        assert (await queues.standing(session, platform.clock.now())).aside == []
        with pytest.raises(QurbaniError, match="not_found"):
            await queues.take_up(session, platform.clock.now(), "letter", letter.id)


async def test_bytes_that_are_no_event_go_to_the_dead_letters_at_once(platform: Platform) -> None:
    async with kafka.producer(platform.settings) as producer:
        await producer.send_and_wait(platform.settings.kafka_prefix + TOPIC, b"\xff not json", key=b"k")
    async with beside(consumer(platform).live()):
        [dead] = await messages(platform, TOPIC + kafka.DEAD, 1)
    assert dict(dead.headers)["attempts"] == b"1"
    assert dead.value == b"\xff not json"


async def test_a_helper_that_is_down_is_waited_for_and_not_held_against_the_event(platform: Platform) -> None:
    failures = 0

    async def wait_for_it(session: AsyncSession, event: Event, data: Any) -> None:
        nonlocal failures
        failures += 1
        if failures <= 2:
            raise QurbaniError("unavailable")
        await affect(session, data.template)

    await tell(platform, "patient")
    async with beside(relay(platform).live(), consumer(platform, wait_for_it).live()):
        assert await eventually(platform, 1) == ["patient"]
    assert failures == 3


@pytest.fixture
def another_broker(tmp_path: Path) -> Iterator[str]:
    with Port() as port:
        address, server = start_kafka(tmp_path, port)
        server.wait()
        yield address
        server.stop()


async def test_a_broker_that_was_replaced_is_told_again_and_nothing_happens_twice(
    platform: Platform, another_broker: str
) -> None:
    """A second group has seen nothing of the first broker's messages, and now never would. Nobody has to notice."""
    groups, subject = {TOPIC: {"a", "b"}}, new_id()
    async with beside(relay(platform).live(), consumer(platform, group="a").live()):
        for n in range(5):
            await tell(platform, str(n), subject)
        await eventually(platform, 5)
    for n in range(5, 8):  # while none is there
        await tell(platform, str(n), subject)
    moved = msgspec.structs.replace(platform.settings, kafka=another_broker)
    readers = [Consumer(group, {TOPIC: Handler(TOPIC, group, note)}, platform.database, moved) for group in "ab"]
    again = Relay(platform.database, moved, platform.clock, groups)
    async with beside(again.live(), *(reader.live() for reader in readers)):
        found = await eventually(platform, 16)
    assert [found.count(str(n)) for n in range(8)] == [2] * 8
    late = [what for at, what in enumerate(found) if what in found[:at]]
    assert late == sorted(late)
    async with platform.database.begin() as session:
        assert await outbox.reopen(session, groups) == 0


async def test_a_broker_that_forgets_while_it_is_in_use_is_found_out_by_the_next_event(platform: Platform) -> None:
    await tell(platform, "forgotten")
    await tell(platform, "sent to the empty one")
    broker = Unsure()
    assert await relay(platform).send_page(broker) == 2  # type: ignore[arg-type]
    await tell(platform, "next")
    with pytest.raises(BrokerForgot):
        await relay(platform).send_page(Unsure())  # type: ignore[arg-type]
    async with beside(relay(platform).live(), consumer(platform).live()):  # it looks back before it goes on
        assert sorted(await eventually(platform, 3)) == ["forgotten", "next", "sent to the empty one"]


async def test_a_group_whose_place_is_beyond_the_end_begins_at_the_oldest(platform: Platform) -> None:
    """As after a broker that lost its messages and kept the places of the groups."""
    await kafka.create_topics(platform.settings, [TOPIC])
    async with kafka.consumer(platform.settings, [TOPIC], GROUP) as member, asyncio.timeout(20):
        await member.getmany(timeout_ms=1_000)  # joins
        assert member.assignment()
        await member.commit(dict.fromkeys(member.assignment(), 1_000))
    await tell(platform, "low")
    async with beside(relay(platform).live(), consumer(platform).live()):
        assert await eventually(platform, 1) == ["low"]
