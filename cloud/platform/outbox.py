"""The outbox: an event is a row, committed with what it tells of, and sent to Kafka afterwards.

A crash between the broker's acknowledgement and our mark sends an event twice; consumers remember ids
(:mod:`cloud.platform.inbox`). No crash loses one or invents one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from sqlalchemy import BigInteger, Identity, Index, Text, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import inbox, kafka
from cloud.platform.database import Database
from cloud.platform.forever import heard
from cloud.platform.models import Base
from cloud.platform.settings import Settings
from shared import events
from shared.clock import Clock
from shared.ids import NewId, new_id

SOURCE = "urn:qurbani:hub"
CHANNEL = "qurbani_outbox"
PAGE = 500
LOCK = 0x71757262_6F757462  # any number; the same in every relay


class Outgoing(Base):
    """An event to send. ``id`` is the order of sending; rows without ``sent`` are still to go."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_pending", "id", postgresql_where="sent IS NULL AND parked IS NULL"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(unique=True)
    topic: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes]
    created: Mapped[datetime] = mapped_column(index=True)
    sent: Mapped[datetime | None]
    parked: Mapped[str | None] = mapped_column(Text)
    """Why the broker will never take it."""


async def publish(
    session: AsyncSession,
    topic: str,
    data: msgspec.Struct,
    *,
    subject: UUID,
    now: datetime,
    new_id: NewId = new_id,
) -> None:
    """Tell ``topic`` once the caller's transaction has committed.

    Events with the same ``subject`` arrive in the order of these calls, provided the caller holds the lock of
    the subject's row, as every change to it does.
    """
    event = events.make(topic, data, id=new_id(), subject=str(subject), source=SOURCE, now=now)
    session.add(Outgoing(
        event_id=event.id, topic=topic, key=event.subject, body=events.encode(event), created=now,
    ))  # fmt: skip
    await session.flush()
    await session.execute(select(func.pg_notify(CHANNEL, "")))


class Relay:
    """Sends what is in the outbox, in order for each key. Any number may run; one at a time works."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def live(self) -> None:
        """Send until something fails (which raises); woken by every commit that published, else by the sweep."""
        async with self._database.listen(CHANNEL) as rung, kafka.producer(self._settings) as producer:
            while True:
                while await self.send_page(producer):
                    pass
                await heard(rung, self._settings.sweep_s)

    async def send_page(self, producer: AIOKafkaProducer) -> int:
        """Send the oldest pending events and mark those acknowledged; how many there were.

        Raises the broker's error after marking what did go.
        """
        async with self._database.begin() as session:
            # The lock falls with this transaction, so with this process too.
            if not await session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
                return 0
            pending = select(Outgoing).where(Outgoing.sent.is_(None), Outgoing.parked.is_(None))
            rows = (await session.scalars(pending.order_by(Outgoing.id).limit(PAGE))).all()
            chains: dict[str, list[Outgoing]] = defaultdict(list)
            for row in rows:
                chains[row.key].append(row)
            failures = await asyncio.gather(*(self._send_chain(producer, chain) for chain in chains.values()))
        for failure in failures:
            if failure:
                raise failure
        return len(rows)

    async def _send_chain(self, producer: AIOKafkaProducer, rows: Sequence[Outgoing]) -> KafkaError | None:
        """Send the events of one key, one after the other; stop at the first failure and hand it back."""
        for row in rows:
            try:
                topic = self._settings.kafka_prefix + row.topic
                await producer.send_and_wait(topic, row.body, key=row.key.encode())
                row.sent = self._clock.now()
            except MessageSizeTooLargeError as error:
                row.parked = repr(error)
            except KafkaError as error:
                return error
        return None


async def reopen(session: AsyncSession, groups: dict[str, set[str]]) -> int:
    """Send again what is not finished; how many events that is.

    ``groups`` names the consumer groups of each topic. An event is finished when each of its groups has it in
    its inbox; so this also brings back dead letters, and everything after a broker lost its data.
    """
    open_events = inbox.unfinished(Outgoing.topic, Outgoing.event_id, groups)
    found = await session.execute(update(Outgoing).where(open_events).values(sent=None, parked=None))
    await session.execute(select(func.pg_notify(CHANNEL, "")))
    return found.rowcount


async def backlog(session: AsyncSession) -> int:
    """How many events are still to be sent."""
    pending = select(func.count()).where(Outgoing.sent.is_(None), Outgoing.parked.is_(None))
    return await session.scalar(pending) or 0
