"""Events: from the commit to the effect in another process, at a stated rate, beside the bare client over the same
broker; and how fast an outbox drains."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks import Row, Say
from cloud import main
from cloud.alembic.migrations import migrate
from cloud.platform import kafka, outbox
from cloud.platform.consumer import Consumer, Handler
from cloud.platform.core import Platform, opened
from cloud.platform.outbox import CHANNEL, Outgoing, Relay
from cloud.platform.settings import Settings
from demo.servers import Servers
from shared import events, settings
from shared.clock import SystemClock
from shared.ids import new_id

TOPIC, GROUP, BARE = "notification.send", "bench", "bare"
RATE = 500
"""Messages a second."""
SECONDS = 10
BACKLOG = 20_000
TICK_S = 0.02


def run(say: Say) -> list[Row]:
    with TemporaryDirectory(prefix="qurbani-bench-") as name, Servers.start() as servers, servers.room() as room:
        chosen = settings.load(Settings, room.environ() | {"QURBANI_DATA": str(Path(name) / "hub")})
        asyncio.run(migrate(chosen))
        say(f"{RATE} messages a second by the bare client")
        bare = asyncio.run(_hops(chosen, _bare_reader, _sent))
        say(f"{RATE} messages a second through outbox, relay and inbox")
        with _beside(_relay, chosen):
            ours = asyncio.run(_hops(chosen, _reader, _committed))
        say(f"an outbox of {BACKLOG} events")
        ours_rate, bare_rate = asyncio.run(_drained(chosen))
    peer = "aiokafka, client to broker to client"
    p50, p95 = _percentiles(ours)
    bare_p50, bare_p95 = _percentiles(bare)
    return [
        Row(f"commit to effect at {RATE}/s, p50", "ms", p50, bare_p50, peer, goal=200 / bare_p50),
        Row(f"commit to effect at {RATE}/s, p95", "ms", p95, bare_p95, peer, goal=200 / bare_p95),
        Row("commit to effect beyond the bare client, p95", "ms", p95 - bare_p95, 60, "the limit", goal=1),
        Row("outbox drained", "events/s", ours_rate, bare_rate, "aiokafka's producer alone", goal=0.2,
            more_is_better=True),
        Row("outbox drained", "events/s", ours_rate, 5_000, "the goal", goal=1, more_is_better=True),
    ]  # fmt: skip


# One message after the other, at a rate


async def _hops(chosen: Settings, read: Callable[..., None], send: Callable[..., Awaitable[None]]) -> list[float]:
    """The milliseconds from each message's moment, which its ``template`` holds, to its end in another process."""
    context = multiprocessing.get_context("spawn")
    ready, ends = context.Event(), context.Queue()
    async with opened(chosen) as platform, kafka.producer(chosen) as producer:
        await kafka.create_topics(chosen, [TOPIC, BARE])
        with _beside(read, chosen, ready, ends):
            await asyncio.to_thread(ready.wait)
            began = time.time()
            for tick in range(round(SECONDS / TICK_S)):
                await asyncio.sleep(max(0, began + tick * TICK_S - time.time()))
                await send(platform, producer, [_event() for _ in range(round(RATE * TICK_S))])
            took = await asyncio.to_thread(lambda: [ends.get(timeout=60) for _ in range(RATE * SECONDS)])
    return took[RATE:]  # without the first second, in which everything wakes up


def _event() -> events.Event:
    wanted = events.NotificationWanted(new_id(), new_id(), new_id(), "bench", {})
    return events.make(TOPIC, wanted, id=new_id(), subject=str(new_id()), source=outbox.SOURCE,
                       now=SystemClock().now())


async def _committed(platform: Platform, producer: AIOKafkaProducer, batch: Sequence[events.Event]) -> None:
    async with platform.database.begin() as session:
        await _publish(session, batch)


async def _publish(session: AsyncSession, batch: Sequence[events.Event]) -> None:
    await session.execute(insert(Outgoing), [
        {"event_id": each.id, "topic": TOPIC, "key": each.subject, "body": events.encode(each), "created": each.time}
        for each in batch
    ])  # fmt: skip
    await session.execute(outbox.select(outbox.func.pg_notify(CHANNEL, "")))


async def _sent(platform: Platform, producer: AIOKafkaProducer, batch: Sequence[events.Event]) -> None:
    topic = platform.settings.kafka_prefix + BARE
    await asyncio.gather(*(
        producer.send_and_wait(topic, events.encode(each), key=each.subject.encode()) for each in batch
    ))


def _since(record: ConsumerRecord) -> float:
    event, _ = events.decode(record.value)
    return (time.time() - event.time.timestamp()) * 1000


def _bare_reader(chosen: Settings, ready: Any, ends: Any) -> None:
    async def read() -> None:
        topic = chosen.kafka_prefix + BARE
        async with AIOKafkaConsumer(topic, bootstrap_servers=chosen.kafka, group_id=None) as reader:
            await reader.seek_to_end()
            ready.set()
            async for record in reader:
                ends.put(_since(record))

    asyncio.run(read())


class _Timed(Consumer):
    """Tells when an effect was committed."""

    ends: Any

    async def _apply(self, records: Sequence[ConsumerRecord]) -> None:
        await super()._apply(records)
        for record in records:
            self.ends.put(_since(record))


def _reader(chosen: Settings, ready: Any, ends: Any) -> None:
    async def nothing(session: AsyncSession, event: events.Event, data: Any) -> None:
        pass  # the row of the inbox is an effect as good as any

    async def read() -> None:
        async with opened(chosen) as platform:
            consumer = _Timed(GROUP, {TOPIC: Handler(TOPIC, GROUP, nothing)}, platform.database, chosen)
            consumer.ends = ends
            living = asyncio.ensure_future(consumer.live())
            await asyncio.sleep(3)  # it joins its group
            ready.set()
            await living

    asyncio.run(read())


def _relay(chosen: Settings) -> None:
    asyncio.run(main.run(chosen, [main.relay]))


@contextmanager
def _beside(work: Callable[..., None], *arguments: Any) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


# A backlog


async def _drained(chosen: Settings) -> tuple[float, float]:
    """Events a second, through the relay and by the bare producer."""
    async with opened(chosen) as platform, kafka.producer(chosen) as producer:
        backlog = [_event() for _ in range(BACKLOG)]
        async with platform.database.begin() as session:
            await _publish(session, backlog)
        relay = Relay(platform.database, chosen, platform.clock, main.groups())
        began = time.perf_counter()
        while await relay.send_page(producer):
            pass
        ours = time.perf_counter() - began
        bodies = [(events.encode(each), each.subject.encode()) for each in backlog]
        began = time.perf_counter()
        sent = [await producer.send(chosen.kafka_prefix + BARE, body, key=key) for body, key in bodies]
        await asyncio.gather(*sent)
        return BACKLOG / ours, BACKLOG / (time.perf_counter() - began)


def _percentiles(took: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[94]
