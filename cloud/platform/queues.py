"""How the queues stand: what waits and for how long, what was laid aside and why, and taking that up again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import jobs, letters, outbox
from cloud.platform.jobs import Work
from cloud.platform.outbox import Outgoing
from shared.errors import QurbaniError

MEASURED = 50
"""The estimate goes by so many of the last jobs of a queue."""
PAGE = 100

What = Literal["event", "letter", "job"]


class Queue(msgspec.Struct, frozen=True):
    """The jobs of one queue. ``oldest`` is when the longest waiting was due; ``mean_s`` is how long one takes.

    ``ready_in_s`` estimates when one that comes now will be done; None where none has been done yet.
    """

    name: str
    waiting: int
    running: int
    aside: int
    oldest: datetime | None
    mean_s: float | None
    ready_in_s: float | None


class Topic(msgspec.Struct, frozen=True):
    """The events of one topic that are not with the broker yet."""

    name: str
    waiting: int
    oldest: datetime


class Aside(msgspec.Struct, frozen=True):
    """Something that was laid aside after its last attempt: an event that no broker takes, a letter that a group of
    consumers gave up on, or a job. ``queue`` is its topic or queue, ``who`` the group, ``about`` its key."""

    what: What
    id: UUID
    queue: str
    who: str
    about: str
    reason: str
    attempts: int
    since: datetime


class Standing(msgspec.Struct, frozen=True):
    queues: list[Queue]
    topics: list[Topic]
    aside: list[Aside]
    """The oldest, at most :data:`PAGE` of each kind."""


async def standing(session: AsyncSession, now: datetime) -> Standing:
    """How everything stands."""
    return Standing(await _queues(session, now), await _topics(session), await _aside(session))


async def ready_in_s(session: AsyncSession, name: str, now: datetime) -> float | None:
    """When a job that comes now into the queue ``name`` will be done, by what the last ones took."""
    return next((queue.ready_in_s for queue in await _queues(session, now) if queue.name == name), None)


async def take_up(session: AsyncSession, now: datetime, what: What | None = None, id: UUID | None = None) -> int:
    """Try again what was laid aside: one thing, all of a kind, or everything; how many that were.

    Raises ``not_found`` where there is no such thing (any more).
    """
    taken = 0
    if what in (None, "letter"):
        taken += await _deliver(session, id)
    if what in (None, "event"):
        taken += await outbox.unpark(session, id)
    if what in (None, "job"):
        taken += await jobs.unpark(session, now, id)
    if id and not taken:
        raise QurbaniError("not_found", "there is no such thing laid aside")
    return taken


async def _deliver(session: AsyncSession, id: UUID | None) -> int:
    taken = await letters.take_out(session, id)
    await outbox.send_again(session, {event_id for event_id in taken if event_id})
    return len(taken)


async def _queues(session: AsyncSession, now: datetime) -> list[Queue]:
    is_waiting = (Work.state == "queued") & (Work.due <= now)
    took = func.extract("epoch", Work.ended - Work.started)
    counted = (
        select(
            Work.queue,
            func.count().filter(is_waiting).label("waiting"),
            func.count().filter(Work.state == "running").label("running"),
            func.count().filter(Work.state == "parked").label("aside"),
            func.min(Work.due).filter(is_waiting).label("oldest"),
        )
        .group_by(Work.queue)
        .order_by(Work.queue)
    )
    found = []
    for row in await session.execute(counted):
        done = select(took.label("took")).where(Work.queue == row.queue, Work.state == "done", Work.ended.is_not(None))
        last = done.order_by(Work.ended.desc()).limit(MEASURED).subquery()
        mean = await session.scalar(select(func.avg(last.c.took)))
        mean_s = None if mean is None else float(mean)
        ahead = row.waiting + row.running
        ready_in_s = None if mean_s is None else mean_s * (1 + ahead / max(row.running, 1))
        found.append(Queue(row.queue, row.waiting, row.running, row.aside, row.oldest, mean_s, ready_in_s))
    return found


async def _topics(session: AsyncSession) -> list[Topic]:
    query = select(Outgoing.topic, func.count(), func.min(Outgoing.created)).where(outbox.PENDING)
    return [Topic(*row) for row in await session.execute(query.group_by(Outgoing.topic).order_by(Outgoing.topic))]


async def _aside(session: AsyncSession) -> list[Aside]:
    events = select(Outgoing).where(Outgoing.parked.is_not(None)).order_by(Outgoing.id).limit(PAGE)
    parked = select(Work).where(Work.state == "parked").order_by(Work.due).limit(PAGE)
    return [
        *(
            Aside("letter", row.id, row.topic, row.group, row.source, row.reason, row.attempts, row.at)
            for row in await letters.all_letters(session, PAGE)
        ),
        *(
            Aside("event", row.event_id, row.topic, "", row.key, row.parked or "", 1, row.created)
            for row in await session.scalars(events)
        ),
        *(
            Aside("job", row.id, row.queue, "", row.key, row.reason or "", row.attempts, row.created)
            for row in await session.scalars(parked)
        ),
    ]
