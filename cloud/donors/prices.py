"""The price list: what a share costs, where, and for what."""

from __future__ import annotations

from uuid import UUID

import msgspec
from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import models
from cloud.donors.schemas import NewPrice, Price
from cloud.platform.conditional import unchanged
from shared.errors import QurbaniError
from shared.ids import NewId

LOCK = 0x71757262_70726963  # any number; whoever changes the list holds it


async def set_price(
    session: AsyncSession, site_id: UUID | None, new: NewPrice, new_id: NewId, if_match: str = ""
) -> Price:
    """Put up a price for a site, or (None) for wherever none is put up. Orders that were placed keep theirs.

    Raises ``stale`` where the list is not what was read under the tag ``if_match``.
    """
    await session.execute(select(func.pg_advisory_xact_lock(LOCK)))
    unchanged(await prices(session) if if_match else [], if_match)
    parts = {"animal": new.animal, "transport": new.transport, "fee": new.fee}
    row = {"id": new_id(), "site_id": site_id, "species": new.species, "currency": new.currency, **parts}
    upsert = insert(models.Price).values(row).on_conflict_do_update(constraint=models.PRICE_OF, set_=parts)
    return _price((await session.scalars(upsert.returning(models.Price))).one())


async def prices(session: AsyncSession) -> list[Price]:
    """The whole list."""
    row = models.Price
    query = select(row).order_by(row.species, row.currency, row.site_id)
    return [_price(found) for found in await session.scalars(query)]


async def price_of(session: AsyncSession, species: str, currency: str, site_id: UUID | None) -> Price:
    """What a share costs at a site, or (None) wherever it may be. Raises ``bad_input`` where no price is put up."""
    row = models.Price
    query = (
        select(row)
        .where(row.species == species, row.currency == currency, or_(row.site_id.is_(None), row.site_id == site_id))
        .order_by(row.site_id.nulls_last())
    )
    found = (await session.scalars(query)).first()
    if found is None:
        raise QurbaniError("bad_input", f"no price of a {species} in {currency} is put up", field="currency")
    return _price(found)


def _price(row: models.Price) -> Price:
    price = Price(row.site_id, row.species, row.currency, row.animal, row.transport, row.fee)
    return msgspec.structs.replace(price, minor=row.animal + row.transport + row.fee)
