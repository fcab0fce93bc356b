"""Which generation of a service's rows it is: each commit that wrote to them begins a new one, for all processes.

A row with a ``donor_id``, or of an order at hand, begins one for that donor; anything else for everybody. Nothing true
lives here: what is lost only makes :mod:`cloud.platform.cache` remember what was so for its :data:`LIFE_S` at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

WATCHED = ("donors",)
"""The services of whose rows anything is cached."""

WRITTEN = "written"
"""The key of ``session.info`` that collects what a transaction wrote to."""

LIFE_S = 3600
PATIENCE_S = 0.5

log = structlog.get_logger()


class WatchedSession(Session):
    """Notes what it writes to."""


def generation(service: str, donor: UUID | None = None) -> str:
    """The name of a generation: that of all rows of a service, or of those of one donor."""
    return f"generation:{service}" + (f":{donor}" if donor else "")


async def begin_new(redis: Redis, names: Iterable[str]) -> None:
    """Begin new generations. The commit stands whatever Redis says."""
    try:
        async with asyncio.timeout(PATIENCE_S), redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.incr(name).expire(name, LIFE_S)
            await pipeline.execute()
    except (RedisError, OSError) as error:
        log.warning("generations.lost", error=type(error).__name__)


@event.listens_for(WatchedSession, "after_flush")
def _flushed(session: Session, context: UOWTransaction) -> None:
    rows = [row for row in (*session.new, *session.dirty, *session.deleted) if row.__table__.schema in WATCHED]
    orders = (row for row in session if hasattr(row, "donor_id") and hasattr(row, "id")) if rows else ()
    owners = {row.id: row.donor_id for row in orders}
    for row in rows:
        donor = getattr(row, "donor_id", None) or owners.get(getattr(row, "order_id", None))
        _note(session, generation(row.__table__.schema, donor))


@event.listens_for(WatchedSession, "do_orm_execute")
def _executed(state: ORMExecuteState) -> None:
    if (state.is_insert or state.is_update or state.is_delete) and state.bind_mapper is not None:
        table: Any = state.bind_mapper.local_table
        if table.schema in WATCHED:
            _note(state.session, generation(table.schema))


def _note(session: Session, name: str) -> None:
    session.info.setdefault(WRITTEN, set()).add(name)
