"""Sacrifices outside the days and hours of Eid: they count only where a person says that they do, and why."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.platform import audit
from cloud.processing import checks, models
from cloud.processing.schemas import Override, Untimely
from cloud.uploads import service as uploads
from shared.errors import QurbaniError


async def override(session: AsyncSession, sacrifice_id: UUID, reason: str, by: UUID, now: datetime) -> Untimely:
    """Let a sacrifice count although it was not within Eid, as far as anybody can tell. The last reason stands.

    Raises ``not_found``, or ``bad_transition`` for one without a film, or that nobody doubts.
    """
    sacrifice = await executors.sacrifice(session, sacrifice_id)
    doubts = await doubts_of(session, sacrifice)
    if not doubts:
        raise QurbaniError("bad_transition", "it was within the days and hours of Eid, or has not been filmed")
    await keep(session, sacrifice_id, reason, by, now)
    audit.about(session, subject=sacrifice_id)
    return Untimely(sacrifice_id, sacrifice.animal_id, doubts[0], Override(by, now, reason))


async def keep(session: AsyncSession, sacrifice_id: UUID, reason: str, by: UUID, now: datetime) -> None:
    said = {"by": by, "at": now, "reason": reason}
    row = insert(models.Override).values(sacrifice_id=sacrifice_id, **said)
    await session.execute(row.on_conflict_do_update(index_elements=["sacrifice_id"], set_=said))


async def untimely(session: AsyncSession, site_id: UUID) -> list[Untimely]:
    """The sacrifices of a site that were not within Eid as it is known now, and which of them count all the same."""
    found = [(each, await doubts_of(session, each)) for each in await executors.sacrifices_at(session, site_id)]
    said = await of(session, [each.id for each, doubts in found if doubts])
    return [Untimely(each.id, each.animal_id, doubts[0], said.get(each.id)) for each, doubts in found if doubts]


async def doubts_of(session: AsyncSession, sacrifice: executors.Sacrifice) -> list[str]:
    """By its authentic film, or else the newest; none where there is no film."""
    video_id = await uploads.best_video(session, sacrifice.id)
    return await checks.timing_doubts(session, video_id, sacrifice) if video_id else []


async def of(session: AsyncSession, sacrifice_ids: Collection[UUID]) -> dict[UUID, Override]:
    """Those of these sacrifices that count by the word of a person."""
    query = select(models.Override).where(models.Override.sacrifice_id.in_(sacrifice_ids))
    return {row.sacrifice_id: Override(row.by, row.at, row.reason) for row in await session.scalars(query)}
