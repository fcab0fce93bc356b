"""The job ledger: a job is a row, saved with what it is about; huey only rings (docs/adr/0001-jobs-are-rows.md).

``queued -> running -> done``, or ``parked`` with its reason after :data:`ATTEMPTS`. ``due`` is when a queued job
may begin and when a running one's lease ends, so one condition finds both kinds of work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Index, Text, UniqueConstraint, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform.core import Platform
from cloud.platform.database import BELLS, Database
from cloud.platform.models import Base
from shared import trace
from shared.errors import QurbaniError
from shared.ids import new_id

ATTEMPTS = 5
TRACE = "trace"
"""What a payload has its trace under, besides what the job wants to know."""
FIRST_PAUSE = timedelta(seconds=1)


class Work(Base):
    """A job and where it stands. ``(queue, key)`` names it: the same work is never noted twice."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("queue", "key"),
        Index("ix_jobs_open", "queue", "due", postgresql_where="state IN ('queued', 'running')"),
        Index("ix_jobs_done", "queue", "ended", postgresql_where="state = 'done'"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    queue: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(Text, default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    due: Mapped[datetime]
    lease: Mapped[UUID | None]
    """Whose work it is now; another's finish, heartbeat or failure no longer counts."""
    reason: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    """Of the last attempt."""
    ended: Mapped[datetime | None]


class Claim(msgspec.Struct, frozen=True):
    """A job that this worker holds until its lease ends."""

    id: UUID
    queue: str
    key: str
    payload: dict[str, Any]
    attempt: int
    lease: UUID


class Context(msgspec.Struct, frozen=True):
    """What a job runs with."""

    platform: Platform
    claim: Claim

    @asynccontextmanager
    async def finish(self) -> AsyncIterator[AsyncSession]:
        """The transaction with the job's effect, in which the job is also done: both or neither.

        Raises ``lost_lease`` before anything is written where another worker has taken the job over.
        """
        async with self.platform.database.begin() as session:
            await _move(session, self.claim, state="done", reason=None, ended=self.platform.clock.now())
            yield session


class Job(msgspec.Struct, frozen=True):
    """How the jobs of one queue are run, ``slots`` at a time in each worker process.

    ``run(context, payload)`` must end in ``async with context.finish() as session``. What blocks or computes
    for long belongs into ``asyncio.to_thread`` or a process of its own, so that the lease can be renewed.
    """

    queue: str
    run: Callable[[Context, dict[str, Any]], Awaitable[None]]
    slots: int = 1
    nightly: bool = False
    """Noted by the workers themselves, once for each night, with an empty payload."""


async def enqueue(session: AsyncSession, queue: str, key: str, payload: dict[str, Any], now: datetime) -> None:
    """Note a job in the caller's transaction, due at ``now``, to be done under the trace of here.

    Repeating it, also when it is done, changes nothing.
    """
    payload = {**payload, TRACE: trace.current()} if trace.current() else payload
    row = {"id": new_id(), "queue": queue, "key": key, "payload": payload, "due": now, "created": now}
    await session.execute(insert(Work).values(row).on_conflict_do_nothing(index_elements=["queue", "key"]))
    session.info.setdefault(BELLS, set()).add(queue)


async def claim(database: Database, queue: str, now: datetime, lease: timedelta) -> Claim | None:
    """Take the job of ``queue`` that has been due longest, or one whose worker went silent; None when there is none."""
    ready = (
        select(Work.id)
        .where(Work.queue == queue, Work.state.in_(("queued", "running")), Work.due <= now)
        .order_by(Work.due)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    token = new_id()
    async with database.begin() as session:
        taken = await session.execute(
            update(Work)
            .where(Work.id == ready)
            .values(state="running", attempts=Work.attempts + 1, due=now + lease, lease=token, started=now)
            .returning(Work.id, Work.key, Work.payload, Work.attempts)
        )
        row = taken.first()
        if row is None:
            return None
        held = Claim(row.id, queue, row.key, row.payload, row.attempts, token)
        if held.attempt > ATTEMPTS:
            # Its workers died without a word, again and again.
            await _move(session, held, state="parked", reason="worker_died")
    return held if held.attempt <= ATTEMPTS else await claim(database, queue, now, lease)


async def renew(database: Database, held: Claim, until: datetime) -> None:
    """Keep a job for longer. Raises ``lost_lease`` where another worker has it by now."""
    async with database.begin() as session:
        await _move(session, held, due=until)


async def fail(database: Database, held: Claim, error: Exception, now: datetime) -> None:
    """Give a job back for another attempt later, or park it with the reason when trying again is of no use."""
    final = held.attempt >= ATTEMPTS or (isinstance(error, QurbaniError) and not error.retry)
    async with database.begin() as session:
        await _move(
            session,
            held,
            state="parked" if final else "queued",
            due=now + FIRST_PAUSE * 2**held.attempt,
            reason=error.line() if isinstance(error, QurbaniError) else repr(error),
        )


async def unpark(session: AsyncSession, now: datetime, id: UUID | None = None) -> int:
    """Give a parked job its attempts back, or every one; how many there were."""
    parked = update(Work).where(Work.state == "parked")
    found = await session.execute(
        (parked if id is None else parked.where(Work.id == id))
        .values(state="queued", attempts=0, due=now)
        .returning(Work.queue)
    )
    queues = list(found.scalars())
    session.info.setdefault(BELLS, set()).update(queues)
    return len(queues)


async def _move(session: AsyncSession, held: Claim, **values: Any) -> None:
    mine = update(Work).where(Work.id == held.id, Work.lease == held.lease, Work.state == "running")
    if (await session.execute(mine.values(**values))).rowcount == 0:
        raise QurbaniError("lost_lease", f"{held.queue} {held.key} went to another worker")
