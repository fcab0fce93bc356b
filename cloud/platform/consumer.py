"""Consumers: each event's effect once for each group; what fails for good becomes a dead letter."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import inbox, kafka, letters
from cloud.platform.database import Database
from cloud.platform.settings import Settings
from shared import events, trace
from shared.errors import QurbaniError

log = structlog.get_logger()

TRIES = 5
TOGETHER = 50
"""So many messages share a transaction: its flush to the disk takes longer than most effects."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0


class Handler(msgspec.Struct, frozen=True):
    """What ``group`` does with every event of ``topic``.

    ``handle(session, event, data)`` works in the transaction that also remembers the event, so it may simply
    write; it must not commit, and must do nothing that a rollback does not undo.
    """

    topic: str
    group: str
    handle: Callable[[AsyncSession, events.Event, Any], Awaitable[None]]


def by_group(handlers: Iterable[Handler]) -> dict[str, dict[str, Handler]]:
    """Handlers as group -> topic -> handler."""
    groups: dict[str, dict[str, Handler]] = defaultdict(dict)
    for handler in handlers:
        groups[handler.group][handler.topic] = handler
    return dict(groups)


class Consumer:
    """One member of one consumer group, with its handlers by topic."""

    def __init__(self, group: str, handlers: dict[str, Handler], database: Database, settings: Settings) -> None:
        self.group = group
        self._handlers = handlers
        self._database = database
        self._settings = settings

    async def live(self) -> None:
        """Consume until a helper fails (which raises); then begin again at what was committed."""
        await kafka.create_topics(self._settings, self._handlers)
        async with (
            kafka.producer(self._settings) as producer,
            kafka.consumer(self._settings, self._handlers, self.group) as consumer,
        ):
            while True:
                batches = await consumer.getmany(timeout_ms=1_000)
                await asyncio.gather(*(self._take_all(producer, records) for records in batches.values()))
                await kafka.commit(consumer, batches)

    async def _take_all(self, producer: AIOKafkaProducer, records: Sequence[ConsumerRecord]) -> None:
        """The messages of a partition, in their order: many in a transaction, each alone where that fails."""
        for first in range(0, len(records), TOGETHER):
            some = records[first : first + TOGETHER]
            if len(some) > 1 and await self._applied(some):
                continue
            for record in some:
                await self._take(producer, record, tried=int(len(some) > 1))

    async def _applied(self, records: Sequence[ConsumerRecord]) -> bool:
        try:
            await self._apply(records)
        except Exception as error:
            log.info("event.apart", topic=records[0].topic, group=self.group, count=len(records), error=repr(error))
            return False
        return True

    async def _take(self, producer: AIOKafkaProducer, record: ConsumerRecord, tried: int) -> None:
        """Bring about one message's effect, or lay it aside with the reason; it was ``tried`` before."""
        attempt, pause = 1 + tried, FIRST_PAUSE_S
        while True:
            try:
                await self._apply([record])
                return
            except Exception as error:
                if isinstance(error, QurbaniError) and error.code == "unavailable":
                    # Not the message's fault: it waits for as long as it takes.
                    log.warning("event.waits", topic=record.topic, group=self.group, error=repr(error))
                elif attempt == TRIES or (isinstance(error, QurbaniError) and not error.retry):
                    await self._lay_aside(producer, record, error, attempt)
                    return
                else:
                    attempt += 1
            pause = min(pause * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _apply(self, records: Sequence[ConsumerRecord]) -> None:
        """Their effects, all or none."""
        told = [events.decode(record.value or b"") for record in records]
        async with self._database.begin() as session:
            new = await inbox.take(session, self.group, {event.id for event, _ in told})
            for event, data in told:
                if event.id in new:
                    new.remove(event.id)
                    with trace.under(events.trace_of(event)):
                        await self._handlers[event.type].handle(session, event, data)
        for event, _ in told:
            log.info("event.taken", topic=event.type, group=self.group, id=str(event.id), trace=events.trace_of(event))

    async def _lay_aside(
        self, producer: AIOKafkaProducer, record: ConsumerRecord, error: Exception, attempts: int
    ) -> None:
        log.error("event.dead", topic=record.topic, group=self.group, offset=record.offset, error=repr(error))
        source = f"{record.topic}/{record.partition}/{record.offset}"
        async with self._database.begin() as session:
            await letters.lay_aside(
                session, record.topic.removeprefix(self._settings.kafka_prefix), self.group, record.value or b"",
                reason=repr(error), attempts=attempts, source=source,
            )  # fmt: skip
        facts = {"reason": repr(error), "attempts": str(attempts), "group": self.group, "source": source}
        headers = [(name, value.encode()) for name, value in facts.items()]
        await producer.send_and_wait(record.topic + kafka.DEAD, record.value, key=record.key, headers=headers)
