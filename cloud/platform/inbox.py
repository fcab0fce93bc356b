"""The inbox: which events a consumer group has taken, written in the same transaction as their effect."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from cloud.platform.models import Base


class Taken(Base):
    """An event whose effect is committed."""

    __tablename__ = "inbox"

    group: Mapped[str] = mapped_column(Text, primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    taken: Mapped[datetime] = mapped_column(server_default=func.now())


async def take(session: AsyncSession, group: str, event_ids: Collection[UUID]) -> set[UUID]:
    """Those that are taken for the first time. A second consumer of one waits here for the first one's commit."""
    # In one order, so that two never wait for each other.
    row = insert(Taken).values([{"group": group, "event_id": id} for id in sorted(event_ids)])
    return set(await session.scalars(row.on_conflict_do_nothing().returning(Taken.event_id)))


def unfinished(
    topic: InstrumentedAttribute[str], event_id: InstrumentedAttribute[UUID], groups: Mapping[str, Collection[str]]
) -> ColumnElement[bool]:
    """The condition that some group of an event's topic has not taken it. ``groups`` are the groups of each topic."""
    return or_(
        *(
            and_(topic == name, ~select(Taken).where(Taken.group == group, Taken.event_id == event_id).exists())
            for name, members in groups.items()
            for group in members
        )
    )
