"""What the boxes say was sacrificed, what the checks found, and how the orders follow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.donors.service import Order
from cloud.executors import models, schemas
from cloud.executors.allocation import animals_of, shares_on
from cloud.platform import audit
from shared.domain.sacrifice import SACRIFICE
from shared.errors import QurbaniError


class Fields(msgspec.Struct, frozen=True):
    """The merged fields of a sacrifice, as far as a box has written them."""

    site_id: UUID
    animal_id: UUID
    executor_id: UUID
    opened: dict[str, Any]
    state: str
    note: str = ""


async def apply_sacrifice(
    session: AsyncSession, key: UUID, fields: Mapping[str, Any], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in the record of a sacrifice as ``node`` of ``site`` wrote it; ``fields`` are all of its fields.

    Raises ``bad_op`` where it is not complete or speaks of what is not at that site.
    """
    try:
        told = msgspec.convert(fields, Fields)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_op", f"sacrifice: {error}") from error
    on = await session.get(models.Animal, told.animal_id)
    if told.site_id != site or on is None or on.site_id != site:
        raise QurbaniError("bad_op", "the sacrifice is of an animal at another site")
    await session.merge(models.Sacrifice(id=key, node=node, **msgspec.structs.asdict(told)))
    await session.flush()
    if SACRIFICE.rank(told.state) >= SACRIFICE.rank("recorded"):
        await _advance_orders(session, told.animal_id, "sacrificed", now)


async def verify(session: AsyncSession, sacrifice_id: UUID, now: datetime) -> list[Order]:
    """The proof of this sacrifice was found good. The orders that are verified by that: all of their animals are.

    Raises ``not_found``.
    """
    row = await session.get(models.Sacrifice, sacrifice_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise QurbaniError("not_found", "there is no such sacrifice")
    if row.verified is None:
        row.verified = now
        await audit.record(session, "executors.verify", now=now, subject=sacrifice_id)
    await session.flush()
    return await _advance_orders(session, row.animal_id, "verified", now)


async def sacrifice(session: AsyncSession, sacrifice_id: UUID) -> schemas.Sacrifice:
    """Raises ``not_found``."""
    row = await session.get(models.Sacrifice, sacrifice_id)
    if row is None:
        raise QurbaniError("not_found", "there is no such sacrifice")
    return _sacrifice(row)


async def sacrifices_of(session: AsyncSession, order_id: UUID) -> list[schemas.Sacrifice]:
    """The sacrifices of the animals on which an order has shares."""
    ids = [animal.id for animal in await animals_of(session, order_id)]
    query = select(models.Sacrifice).where(models.Sacrifice.animal_id.in_(ids)).order_by(models.Sacrifice.id)
    return [_sacrifice(row) for row in await session.scalars(query.execution_options(populate_existing=True))]


async def _advance_orders(session: AsyncSession, animal_id: UUID, to: str, now: datetime) -> list[Order]:
    """Move each order on an animal to ``to`` as soon as that is true of all of its animals; those that moved."""
    moved = []
    for order_id in sorted({share.order_id for share in await shares_on(session, animal_id)}):
        # Before looking: of two animals that are ready at the same moment, the later must see the earlier.
        await donors.hold(session, order_id)
        done = {row.animal_id for row in await sacrifices_of(session, order_id) if _reached(row, to)}
        wanted = {animal.id for animal in await animals_of(session, order_id)}
        if done >= wanted and await donors.advance(session, order_id, to, now):
            moved.append(await donors.get(session, order_id))
    return moved


def _reached(row: schemas.Sacrifice, to: str) -> bool:
    return row.verified is not None if to == "verified" else SACRIFICE.rank(row.state) >= SACRIFICE.rank("recorded")


def _sacrifice(row: models.Sacrifice) -> schemas.Sacrifice:
    return schemas.Sacrifice(
        row.id, row.node, row.site_id, row.animal_id, row.executor_id, row.state, row.opened, row.note, row.verified
    )
