"""The outbox: an event is a row, committed with what it tells of, and sent to Kafka afterwards.

A crash between the broker's acknowledgement and our mark sends an event twice; consumers remember ids
(:mod:`cloud.platform.inbox`). No crash loses one or invents one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from sqlalchemy import BigInteger, ColumnElement, Identity, Index, Row, Text, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import acknowledged, inbox, kafka, letters
from cloud.platform.database import Database
from cloud.platform.forever import heard
from cloud.platform.models import Base
from cloud.platform.settings import Settings
from shared import events
from shared.clock import Clock
from shared.ids import NewId, new_id

log = structlog.get_logger()

SOURCE = "urn:qurbani:hub"
CHANNEL = "qurbani_outbox"
PAGE = 1_000
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


PENDING = Outgoing.sent.is_(None) & Outgoing.parked.is_(None)
"""The condition that an event is still to be sent."""


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


Groups = Mapping[str, Collection[str]]
"""The consumer groups of each topic."""


class BrokerForgot(Exception):
    """An event got a place in the broker that another one had before."""


class Relay:
    """Sends what is in the outbox, in order for each key. Any number may run; one at a time works."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, groups: Groups) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._groups = groups

    async def live(self) -> None:
        """Send until something fails (which raises); woken by every commit that published, else by the sweep."""
        await kafka.create_topics(self._settings, self._groups)
        await self._look_back()
        async with self._database.listen(CHANNEL) as rung, kafka.producer(self._settings) as producer:
            while True:
                while await self.send_page(producer):
                    pass
                await heard(rung, self._settings.sweep_s)

    async def _look_back(self) -> None:
        """Before anything new goes to a broker that has lost what it had, that goes again."""
        ends = await kafka.ends(self._settings, self._groups)
        async with self._database.begin() as session:
            if await acknowledged.has_lost(session, ends):
                await acknowledged.forget(session)
                log.warning("broker.forgot", again=await reopen(session, self._groups))

    async def send_page(self, producer: AIOKafkaProducer) -> int:
        """Send the oldest pending events and mark those acknowledged; how many there were.

        Raises the broker's error after marking what did go, and :class:`BrokerForgot`.
        """
        async with self._database.begin() as session:
            # The lock falls with this transaction, so with this process too.
            if not await session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
                return 0
            columns = select(Outgoing.id, Outgoing.topic, Outgoing.key, Outgoing.body)
            rows = (await session.execute(columns.where(PENDING).order_by(Outgoing.id).limit(PAGE))).all()
            page = _Page(producer, self._settings.kafka_prefix)
            await page.send(rows)
            sent = update(Outgoing).where(Outgoing.id.in_(page.sent))
            await session.execute(sent.values(sent=self._clock.now()))
            for id, reason in page.refused.items():
                await session.execute(update(Outgoing).where(Outgoing.id == id).values(parked=reason))
            if not await acknowledged.note(session, page.given):
                raise BrokerForgot
        if page.failure:
            raise page.failure
        return len(rows)


class _Page:
    """A few events on their way to the broker, and what became of them."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix
        self.sent: list[int] = []
        self.refused: dict[int, str] = {}
        self.given: dict[tuple[str, int], int] = {}
        """The last offset in each topic and partition."""
        self.failure: KafkaError | None = None

    async def send(self, rows: Sequence[Row[Any]]) -> None:
        """Those of one key one after the other, up to the first failure; the keys beside each other."""
        chains: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            chains[row.key].append(row)
        await asyncio.gather(*(self._send_chain(chain) for chain in chains.values()))

    async def _send_chain(self, rows: Sequence[Row[Any]]) -> None:
        for row in rows:
            try:
                place = await self._producer.send_and_wait(self._prefix + row.topic, row.body, key=row.key.encode())
            except MessageSizeTooLargeError as error:
                self.refused[row.id] = repr(error)
            except KafkaError as error:
                self.failure = error
                return
            else:
                self.sent.append(row.id)
                self.given[place.topic, place.partition] = place.offset


async def reopen(session: AsyncSession, groups: Groups) -> int:
    """Send again what is not finished; how many events that is.

    ``groups`` names the consumer groups of each topic. An event is finished when each of its groups has it in
    its inbox; so this also brings back dead letters, and everything after a broker lost its data.
    """
    await letters.take_out(session)
    return await _send_again(session, inbox.unfinished(Outgoing.topic, Outgoing.event_id, groups))


async def send_again(session: AsyncSession, event_ids: Collection[UUID]) -> int:
    """Send these events once more, to all groups: those that have them remember; how many are ours."""
    return await _send_again(session, Outgoing.event_id.in_(event_ids))


async def unpark(session: AsyncSession, event_id: UUID | None = None) -> int:
    """Offer the broker once more an event that it would never take, or each of them; how many there were."""
    mine = Outgoing.parked.is_not(None)
    return await _send_again(session, mine if event_id is None else mine & (Outgoing.event_id == event_id))


async def _send_again(session: AsyncSession, these: ColumnElement[bool]) -> int:
    found = await session.execute(update(Outgoing).where(these).values(sent=None, parked=None))
    await session.execute(select(func.pg_notify(CHANNEL, "")))
    return found.rowcount


async def backlog(session: AsyncSession) -> int:
    """How many events are still to be sent."""
    return await session.scalar(select(func.count()).where(PENDING)) or 0
