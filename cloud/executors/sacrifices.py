"""What the boxes say was sacrificed, what the checks found, and how the orders follow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.donors.service import Order
from cloud.executors import freezing, models, schemas, sites
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
    frozen: bool | None = None


async def apply_sacrifices(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in records of sacrifices as ``node`` of ``site`` wrote them: all fields of each, by its key.

    Raises ``bad_op`` where one is not complete or speaks of what is not at that site; then none is taken in.
    """
    told = {key: _read(records[key]) for key in sorted(records)}  # so that two boxes never wait for each other
    wanted = {each.animal_id for each in told.values()}
    here = select(models.Animal.id).where(models.Animal.id.in_(wanted), models.Animal.site_id == site)
    if any(each.site_id != site for each in told.values()) or wanted != set(await session.scalars(here)):
        raise QurbaniError("bad_op", "the sacrifice is of an animal at another site")
    row = insert(models.Sacrifice)
    written = {name: row.excluded[name] for name in ("node", *Fields.__struct_fields__)}
    await session.execute(
        row.on_conflict_do_update(index_elements=["id"], set_=written),
        [{"id": key, "node": node, **msgspec.structs.asdict(each)} for key, each in told.items()],
    )
    await freezing.frozen_by_deed(session, wanted, now)
    recorded = SACRIFICE.rank("recorded")
    done = {each.animal_id for each in told.values() if SACRIFICE.rank(each.state) >= recorded}
    await _advance_orders(session, done, "sacrificed", now)


async def tell_donors(session: AsyncSession, sacrifice_id: UUID, now: datetime) -> None:
    """What there is to see of a sacrifice has changed for those whose shares are on it."""
    animal_id = await session.scalar(select(models.Sacrifice.animal_id).where(models.Sacrifice.id == sacrifice_id))
    shares = await shares_on(session, animal_id) if animal_id else []
    await donors.tell(session, {share.order_id for share in shares}, now)


def _read(fields: Mapping[str, Any]) -> Fields:
    try:
        return msgspec.convert(fields, Fields)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_op", f"sacrifice: {error}") from error


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
    moved = await _advance_orders(session, [row.animal_id], "verified", now)
    return [await donors.get(session, order_id) for order_id in moved]


async def reverse(session: AsyncSession, sacrifice_id: UUID, now: datetime) -> list[Order]:
    """The proof of this sacrifice did not hold. The orders of which it was said, wrongly, that they are done."""
    row = await session.get_one(models.Sacrifice, sacrifice_id, with_for_update=True, populate_existing=True)
    if row.verified is None:
        return []
    row.verified = None
    await audit.record(session, "executors.reverse", now=now, subject=sacrifice_id)
    await session.flush()
    orders = {share.order_id for share in await shares_on(session, row.animal_id)}
    return [await donors.get(session, order_id) for order_id in await donors.reverse(session, orders, now)]


async def sacrifice(session: AsyncSession, sacrifice_id: UUID) -> schemas.Sacrifice:
    """Raises ``not_found``."""
    row = await session.get(models.Sacrifice, sacrifice_id)
    if row is None:
        raise QurbaniError("not_found", "there is no such sacrifice")
    return _sacrifice(row)


async def sacrifices_at(session: AsyncSession, site_id: UUID) -> list[schemas.Sacrifice]:
    """Those that the boxes of a site told of. Raises ``not_found``."""
    await sites.site(session, site_id)
    query = select(models.Sacrifice).where(models.Sacrifice.site_id == site_id).order_by(models.Sacrifice.id)
    return [_sacrifice(row) for row in await session.scalars(query)]


async def sacrifice_sites(session: AsyncSession, sacrifice_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The sites of those of these sacrifices that are known."""
    query = select(models.Sacrifice.id, models.Sacrifice.site_id).where(models.Sacrifice.id.in_(sacrifice_ids))
    return {row.id: row.site_id for row in await session.execute(query)}


async def verified(session: AsyncSession, sacrifice_ids: Collection[UUID]) -> set[UUID]:
    """Those of these sacrifices of which a proof was found good."""
    row = models.Sacrifice
    return set(await session.scalars(select(row.id).where(row.id.in_(sacrifice_ids), row.verified.is_not(None))))


async def sacrifices_of(session: AsyncSession, order_id: UUID) -> list[schemas.Sacrifice]:
    """The sacrifices of the animals on which an order has shares."""
    ids = [animal.id for animal in await animals_of(session, order_id)]
    query = select(models.Sacrifice).where(models.Sacrifice.animal_id.in_(ids)).order_by(models.Sacrifice.id)
    return [_sacrifice(row) for row in await session.scalars(query.execution_options(populate_existing=True))]


async def _advance_orders(session: AsyncSession, animals: Collection[UUID], to: str, now: datetime) -> list[UUID]:
    """Move each order on these animals to ``to`` as soon as that is true of all of its animals; those that moved."""
    orders = {share.order_id for share in await shares_on(session, *animals)} if animals else set()
    if not orders:
        return []
    # Before looking: of two animals that are ready at the same moment, the later must see the earlier.
    await donors.hold(session, orders)
    shares = await donors.shares_of(session, orders)
    seats = select(models.Seat.share_id, models.Seat.animal_id).where(
        models.Seat.share_id.in_([share.id for share in shares]))
    on = {seat.share_id: seat.animal_id for seat in await session.execute(seats)}
    states = select(models.Sacrifice.animal_id, models.Sacrifice.state, models.Sacrifice.verified)
    rows = await session.execute(states.where(models.Sacrifice.animal_id.in_(set(on.values()))))
    done = {row.animal_id for row in rows if _reached(row, to)}
    waiting = {share.order_id for share in shares if on.get(share.id) not in done}
    return await donors.advance(session, orders - waiting, to, now)


def _reached(row: Any, to: str) -> bool:
    return row.verified is not None if to == "verified" else SACRIFICE.rank(row.state) >= SACRIFICE.rank("recorded")


def _sacrifice(row: models.Sacrifice) -> schemas.Sacrifice:
    return schemas.Sacrifice(
        row.id, row.node, row.site_id, row.animal_id, row.executor_id, row.state, row.opened, row.note, row.verified,
        row.frozen,
    )  # fmt: skip
