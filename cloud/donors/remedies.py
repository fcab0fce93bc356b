"""What is due to a donor whose sacrifice turned out not to be proved: another one, or the money.

Another one is another order, with the same shares at the same price, which is paid with what was paid for the first; it
gets its animal as every order does. The first ends, so that nothing can be told of it any more.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import ledger, models, moves, payments, search
from cloud.donors.schemas import What
from cloud.platform import outbox, personal
from shared.domain.order import ORDER
from shared.errors import QurbaniError
from shared.events import NotificationWanted
from shared.ids import NewId

MOVED = "moved"
"""The account over which money goes from one order to another."""
REVERSED = "reversed"


async def waiting(session: AsyncSession) -> list[UUID]:
    """The orders of which it was said, wrongly, that they are done, and for which nothing was done yet."""
    newest = select(func.max(models.Step.id)).group_by(models.Step.order_id)
    query = (
        select(models.Order.id)
        .join(models.Step, models.Step.order_id == models.Order.id)
        .where(models.Order.state == "sacrificed", models.Step.id.in_(newest), models.Step.why == REVERSED)
        .order_by(models.Step.id)
    )
    return list(await session.scalars(query))


async def remedy(
    session: AsyncSession, order_id: UUID, what: What, by: UUID, now: datetime, new_id: NewId
) -> UUID | None:
    """Give a donor another sacrifice, or their money; the order that stands in the place of the first.

    The same again changes nothing. Raises ``not_found``, or ``bad_transition`` for what is not waiting for it.
    """
    order = await moves.locked(session, order_id)
    if order.state == "refunded":
        return await instead(session, order_id)
    if order_id not in await waiting(session):
        raise QurbaniError("bad_transition", "nothing was taken back of this order", state=order.state)
    other = None
    if what == "again":
        other = await _again(session, order, now, new_id)
    else:
        await payments.call_off(session, order, "remedy", by, now)
    facts = {"why": what, "instead": str(other.number) if other else ""}
    wanted = NotificationWanted(new_id(), order.donor_id, order_id, "order_remedied", facts)
    await outbox.publish(session, "notification.send", wanted, subject=order.donor_id, now=now)
    return other.id if other else None


async def instead(session: AsyncSession, order_id: UUID) -> UUID | None:
    """The order that stands in the place of this one."""
    return await session.scalar(select(models.Order.id).where(models.Order.instead_of == order_id))


async def _again(session: AsyncSession, order: models.Order, now: datetime, new_id: NewId) -> models.Order:
    key = await personal.key_of(session, order.donor_id)
    other = models.Order(
        id=new_id(), donor_id=order.donor_id, species=order.species, state=ORDER.first, created=now,
        site_id=order.site_id, currency=order.currency, minor=order.minor, instead_of=order.id,
    )  # fmt: skip
    other.steps = [models.Step(state=ORDER.first, at=now)]
    session.add(other)
    await session.flush()
    for share in await session.scalars(select(models.Share).where(models.Share.order_id == order.id)):
        said = share.person
        same = models.Share(id=new_id(), order_id=other.id, key=key, person=said, language=share.language)
        session.add(same)
        await session.flush()
        await search.note(session, order.donor_id, same.id, [said.name, *said.spellings], said.phone)
    currency = order.currency or ""
    charged = await ledger.charged(session, order.id)
    await moves.move(session, order, "refunded", now, "again")
    await ledger.take_back(session, order, now)
    paid = -await ledger.owed(session, order.id)
    await ledger.post(session, order.id, MOVED, {ledger.DONOR: paid, MOVED: -paid}, currency, now)
    await ledger.post(session, other.id, "charge", charged, currency, now)
    booking = {"key": f"{MOVED}:{order.id}", "minor": paid, "currency": currency, "method": MOVED,
               "reference": str(order.number)}  # fmt: skip
    await payments.book(session, other, booking, now)
    return other
