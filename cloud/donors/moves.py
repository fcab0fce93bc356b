"""How orders move from state to state: always under the lock of their rows, each step noted once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import models
from cloud.platform import audit, outbox
from shared.domain.order import ORDER
from shared.errors import QurbaniError
from shared.events import OrderChanged


async def locked(session: AsyncSession, order_id: UUID) -> models.Order:
    """Raises ``not_found``."""
    orders = await locked_all(session, [order_id])
    if not orders:
        raise QurbaniError("not_found", "there is no such order")
    return orders[0]


async def locked_all(session: AsyncSession, order_ids: Collection[UUID]) -> Sequence[models.Order]:
    query = select(models.Order).where(models.Order.id.in_(order_ids)).order_by(models.Order.id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def move(session: AsyncSession, order: models.Order, to: str, now: datetime, why: str = "") -> bool:
    """Bring a locked order to ``to``; False where it is there already. Raises ``bad_transition``."""
    if order.state == to:
        return False
    await step(session, [order], to, now, why)
    return True


async def step(
    session: AsyncSession, orders: Collection[models.Order], to: str, now: datetime, why: str = ""
) -> None:
    for order in orders:
        order.state = ORDER.move(order.state, to)
        session.add(models.Step(order_id=order.id, state=to, at=now, why=why))
    await session.flush()
    await audit.record_each(session, "donors.move", [order.id for order in orders], now=now, state=to)
    await tell(session, orders, now)


async def tell(session: AsyncSession, orders: Iterable[models.Order], now: datetime) -> None:
    """What their donors see of these orders has changed."""
    for order in orders:
        changed = OrderChanged(order.id, order.donor_id, order.state)
        await outbox.publish(session, "order.changed", changed, subject=order.donor_id, now=now)
