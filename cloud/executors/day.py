"""The day of a site as the hub knows it: by what its boxes have told so far, which may be hours ago."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import models
from cloud.executors.sites import eid_of, site
from shared.clock import from_ms
from shared.domain.animal import ineligible
from shared.domain.day import Plan, Where, Work, plan
from shared.domain.eid import window


async def day(session: AsyncSession, site_id: UUID, now: datetime) -> Plan:
    """The plan of today, from capacity against sunset. Raises ``not_found``.

    An animal counts as done at the time at which its box says that it began.
    """
    await site(session, site_id)
    row = await session.get_one(models.Site, site_id)
    where = None
    if row.latitude is not None and row.longitude is not None:
        where = Where(row.latitude, row.longitude, row.timezone)
    eid = window(found) if (found := eid_of(row)) else None
    return plan(await _work(session, row), where, eid, row.per_hour, ZoneInfo(row.timezone), now)


async def _work(session: AsyncSession, site: models.Site) -> Work:
    told = select(models.Sacrifice).where(models.Sacrifice.site_id == site.id)
    rows = [(each, from_ms(each.opened["wall_ms"])) for each in await session.scalars(told)]
    done = {each.animal_id: opened for each, opened in rows if each.state != "opened"}
    named = select(models.Seat.animal_id)
    animals = select(models.Animal).where(models.Animal.site_id == site.id, models.Animal.id.in_(named))
    remaining = [
        animal for animal in await session.scalars(animals)
        if animal.id not in done
        and not ineligible(animal.species, animal.age_months, animal.defects or [], site.sheep_months)
    ]  # fmt: skip
    return Work([opened for _, opened in rows], list(done.values()), len(remaining))
