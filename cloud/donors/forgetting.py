"""Whose data may be erased, and what of them this service holds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import consents, models, moves, payments, search
from shared.domain.order import ORDER
from shared.errors import QurbaniError

UNDER_WAY = ("paid", "allocated", "sacrificed", "out_for_delivery")
"""What was paid for and is not done: the name is to be said at the site, or somebody waits for the donor at a door."""


async def close(session: AsyncSession, donor_id: UUID, by: UUID, now: datetime) -> list[UUID]:
    """End what has not begun, and take away what the donor is looked up by; the orders there are.

    Raises ``not_found``, or ``open_orders`` naming those that are under way.
    """
    donor = await session.get(models.Donor, donor_id, with_for_update=True)
    if donor is None:
        raise QurbaniError("not_found", "there is no such donor")
    ids = await session.scalars(select(models.Order.id).where(models.Order.donor_id == donor_id))
    orders = await moves.locked_all(session, ids.all())
    if waiting := [str(order.number) for order in orders if order.state in UNDER_WAY]:
        raise QurbaniError("open_orders", f"orders {', '.join(waiting)} are under way", orders=waiting)
    for order in orders:
        if order.state == ORDER.first:
            await payments.call_off(session, order, "erased", by, now)
    await consents.withdraw_all(session, donor_id, now)
    donor.phone_index = None
    await search.forget(session, donor_id)
    await session.flush()
    return [order.id for order in orders]
