"""Dead letters: what a consumer group gave up on, kept in Postgres; the topic with ``.dlq`` is a copy of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform.models import Base
from shared import events


class Letter(Base):
    """A message and why ``group`` could not take it. The same message again is the same letter."""

    __tablename__ = "dead_letters"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID | None] = mapped_column(index=True)
    """None: it is no event at all, so nothing of ours."""
    topic: Mapped[str] = mapped_column(Text)
    group: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes]
    reason: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int]
    source: Mapped[str] = mapped_column(Text)
    """Where it lay: ``topic/partition/offset``."""
    at: Mapped[datetime] = mapped_column(server_default=func.now())


NAMESPACE = UUID("6f0c4a52-6a55-5b0e-9d4b-0d6a7a1c2f11")
"""Of the letters' ids; any will do, as long as it stays."""


async def lay_aside(
    session: AsyncSession, topic: str, group: str, body: bytes, *, reason: str, attempts: int, source: str
) -> None:
    """Keep a message, or note that it failed once more."""
    now = {"reason": reason, "attempts": attempts, "source": source, "at": func.now()}
    row = {
        "id": uuid5(uuid5(NAMESPACE, group), body.hex()), "event_id": events.id_of(body), "topic": topic,
        "group": group, "body": body,
    }  # fmt: skip
    new = insert(Letter).values(row | now)
    await session.execute(new.on_conflict_do_update(index_elements=["id"], set_=now))


async def take_out(session: AsyncSession, id: UUID | None = None) -> list[UUID | None]:
    """Remove a letter, or all of them; of each its event, which is to be sent again, None where it is no event."""
    gone = delete(Letter) if id is None else delete(Letter).where(Letter.id == id)
    return list(await session.scalars(gone.returning(Letter.event_id)))


async def all_letters(session: AsyncSession, limit: int) -> list[Letter]:
    """The oldest letters."""
    return list(await session.scalars(select(Letter).order_by(Letter.at, Letter.id).limit(limit)))
