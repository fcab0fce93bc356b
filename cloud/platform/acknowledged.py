"""How far the broker has taken our events, to notice when it forgets: it was wiped, put back, or is another one."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import BigInteger, Text, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform.models import Base

Offsets = Mapping[tuple[str, int], int]
"""By topic and partition."""


class Acknowledged(Base):
    """The last offset that the broker gave to an event of ours. In a partition that lost nothing they only grow."""

    __tablename__ = "acknowledged"

    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger)


async def has_lost(session: AsyncSession, ends: Offsets) -> bool:
    """Whether partitions that now end at ``ends`` had come further before, or are gone."""
    held = await _held(session)
    return any(ends.get(place, 0) <= offset for place, offset in held.items())


async def note(session: AsyncSession, given: Offsets) -> bool:
    """Keep the last offsets that were given; False where one had been given before, so the broker has forgotten."""
    held = await _held(session)
    for (topic, partition), offset in given.items():
        row = insert(Acknowledged).values(topic=topic, partition=partition, offset=offset)
        last = row.on_conflict_do_update(index_elements=["topic", "partition"], set_={"offset": offset})
        await session.execute(last)
    return all(offset > held.get(place, -1) for place, offset in given.items())


async def forget(session: AsyncSession) -> None:
    """Begin anew, as the broker does."""
    await session.execute(delete(Acknowledged))


async def _held(session: AsyncSession) -> dict[tuple[str, int], int]:
    rows = await session.execute(select(Acknowledged.topic, Acknowledged.partition, Acknowledged.offset))
    return {(row.topic, row.partition): row.offset for row in rows}
