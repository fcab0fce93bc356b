"""When 10 Dhu al-Hijja is: each country sights the moon, or reckons it, for itself."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import models, schemas


async def say(session: AsyncSession, country: str, day: date) -> None:
    row = insert(models.Moon).values(country=country, day=day)
    await session.execute(row.on_conflict_do_update(index_elements=["country"], set_={"day": day}))


async def day_of(session: AsyncSession, country: str | None) -> date | None:
    """None as long as nobody has said."""
    day: date | None = await session.scalar(select(models.Moon.day).where(models.Moon.country == country))
    return day


async def every(session: AsyncSession) -> list[schemas.Moon]:
    """Of all countries for which somebody has said."""
    query = select(models.Moon).order_by(models.Moon.country)
    return [schemas.Moon(row.country, row.day) for row in await session.scalars(query)]
