"""Freezing: from then on the shares of an animal are those whose names are said over it.

A site may be without network for days, so nobody can take back in time what its boxes were told. The hub therefore
fixes who is on an animal before it is slaughtered; a trigger keeps every seat of a frozen animal as it is, whoever
writes. What a box has sacrificed is frozen by that. Whoever changes animals and orders locks the animals first.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import intake, models, schemas
from cloud.executors.sites import as_animal, site
from cloud.platform import audit
from shared.errors import QurbaniError
from shared.ids import NewId


async def freeze(
    session: AsyncSession, site_id: UUID, wanted: Collection[UUID] | None, now: datetime
) -> list[schemas.Animal]:
    """Freeze these animals of a site, or (None) all on which there are shares; which they are.

    Raises ``not_found``, or ``bad_transition`` for one on which nobody has a share.
    """
    await site(session, site_id)
    here = await locked(session, models.Animal.site_id == site_id)
    begun = set(await session.scalars(select(models.Seat.animal_id).where(models.Seat.animal_id.in_(here))))
    if wanted is not None and not here.keys() >= set(wanted):
        raise QurbaniError("not_found", "there is no such animal at this site")
    if wanted is not None and not begun >= set(wanted):
        raise QurbaniError("bad_transition", "nobody has a share on this animal")
    rows = [here[id] for id in sorted(begun if wanted is None else set(wanted))]
    new = [row.id for row in rows if row.frozen is None]
    for id in new:
        here[id].frozen = now
    await session.flush()
    audit.about(session, animals=len(new))
    await intake.tell_animals(session, new, site_id)
    return [as_animal(row) for row in rows]


async def thaw(
    session: AsyncSession, animal_id: UUID, reason: str, *, by: UUID, now: datetime, new_id: NewId
) -> schemas.Animal:
    """Let the shares of an animal go again that will not be sacrificed: dead, ill, stolen. The reason is kept.

    Raises ``not_found``, or ``bad_transition`` where it was sacrificed.
    """
    row = (await locked(session, models.Animal.id == animal_id)).get(animal_id)
    if row is None:
        raise QurbaniError("not_found", "there is no such animal")
    if await session.scalar(select(models.Sacrifice.id).where(models.Sacrifice.animal_id == animal_id).limit(1)):
        raise QurbaniError("bad_transition", "it was sacrificed: its names have been said")
    if row.frozen is not None:
        row.frozen = None
        session.add(models.Thaw(id=new_id(), animal_id=animal_id, at=now, by=by, reason=reason))
        await session.flush()
        await intake.tell_animals(session, [animal_id], row.site_id)
    return as_animal(row)


async def frozen_by_deed(session: AsyncSession, animal_ids: Collection[UUID], now: datetime) -> None:
    """These were sacrificed: nobody's share comes or goes any more."""
    rows = models.Animal
    await session.execute(update(rows).where(rows.id.in_(animal_ids), rows.frozen.is_(None)).values(frozen=now))


async def locked(session: AsyncSession, which: ColumnElement[bool]) -> dict[UUID, models.Animal]:
    """These animals, by id, kept from freezing and from everybody else who gives or takes their seats."""
    query = select(models.Animal).where(which).order_by(models.Animal.id).with_for_update()
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return {row.id: row for row in rows}
