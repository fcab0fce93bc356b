"""Money that comes in, in instalments if that was agreed, and money that goes back, which takes two people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import ledger, models, moves, schemas
from cloud.donors.prices import price_of
from cloud.platform import audit, jobs, outbox
from shared.domain.order import ORDER
from shared.errors import QurbaniError
from shared.events import NotificationWanted
from shared.ids import NewId

CALLED_OFF = ("cancelled", "refunded")
CARD = "card"
OVERDUE = "instalment"
REFUND = "refund"
"""The queues of instalments that fall due, and of refunds through the gateway."""


async def charge(session: AsyncSession, order: models.Order, new: schemas.NewOrder, now: datetime) -> None:
    """Fix what a new order costs, and when it is to be paid. Raises ``bad_input``."""
    if new.currency is None:
        if new.instalments or new.site_id:
            raise QurbaniError("bad_input", "say in which currency", field="currency")
        return
    price = await price_of(session, new.species, new.currency, new.site_id)
    count = len(new.shares)
    order.site_id, order.currency, order.minor = new.site_id, price.currency, price.minor * count
    parts = {"animal": price.animal, "transport": price.transport, "fee": price.fee}
    taken = {account: -minor * count for account, minor in parts.items()}
    await ledger.post(session, order.id, "charge", {ledger.DONOR: order.minor, **taken}, price.currency, now)
    await _agree(session, order, new.instalments, now)


async def _agree(
    session: AsyncSession, order: models.Order, instalments: Sequence[schemas.NewInstalment], now: datetime
) -> None:
    if not instalments:
        return
    days = [each.due for each in instalments]
    if sum(each.minor for each in instalments) != order.minor or days != sorted(set(days)) or days[0] < now.date():
        raise QurbaniError("bad_input", f"instalments come one after the other and sum up to {order.minor}",
                           field="instalments")  # fmt: skip
    sums = accumulate(each.minor for each in instalments)
    for number, (each, sum_) in enumerate(zip(instalments, sums, strict=True)):
        ends = datetime.combine(each.due + timedelta(days=1), time(), UTC)
        session.add(models.Instalment(order_id=order.id, number=number, due=ends, minor=each.minor, sum=sum_))
        await jobs.enqueue(session, OVERDUE, f"{order.id}/{number}", {"order_id": str(order.id)}, ends)
    await session.flush()


async def pay(session: AsyncSession, order_id: UUID, payment: schemas.NewPayment, now: datetime) -> None:
    """Book what came in by hand. The same payment again changes nothing.

    Raises ``conflict`` where the key was used for something else, ``bad_transition`` for an order that is called off,
    ``bad_input`` for another currency than the order's.
    """
    order = await moves.locked(session, order_id)
    if order.state in CALLED_OFF:
        raise QurbaniError("bad_transition", f"the order is {order.state}", state=order.state)
    if order.currency not in (None, payment.currency):
        raise QurbaniError("bad_input", f"the order is in {order.currency}", field="currency")
    await book(session, order, msgspec.structs.asdict(payment), now)


async def came_in(session: AsyncSession, order_id: UUID, paid: schemas.Paid, now: datetime) -> None:
    """The gateway has money for an order. Also where that was called off meanwhile: then it is to go back."""
    order = await moves.locked(session, order_id)
    booking = {"key": paid.key, "minor": paid.minor, "currency": paid.currency, "method": CARD,
               "reference": paid.reference}  # fmt: skip
    if await book(session, order, booking, now) and order.state in CALLED_OFF:
        await _want_refund(session, await session.get_one(models.Payment, paid.key), None, now)


async def book(session: AsyncSession, order: models.Order, fields: dict[str, object], now: datetime) -> bool:
    """Book a payment of a locked order; False for one that was booked before. Raises ``conflict``."""
    fields = {**fields, "order_id": order.id}
    booking = insert(models.Payment).values(**fields, booked=now).on_conflict_do_nothing()
    payment = (await session.scalars(booking.returning(models.Payment))).first()
    if payment is None:
        booked = await session.get_one(models.Payment, fields["key"])
        if any(getattr(booked, field) != value for field, value in fields.items()):
            raise QurbaniError("conflict", "this key was used for another payment", key=fields["key"])
        return False
    if order.minor is None:  # no price was put up: what is booked first is what was agreed
        order.minor, order.currency = payment.minor, payment.currency
        agreed = {ledger.DONOR: payment.minor, "animal": -payment.minor}
        await ledger.post(session, order.id, "charge", agreed, payment.currency, now)
    lines = {payment.method: payment.minor, ledger.DONOR: -payment.minor}
    await ledger.post(session, order.id, "payment", lines, payment.currency, now)
    if order.state == ORDER.first and await ledger.owed(session, order.id) <= 0:
        await moves.move(session, order, "paid", now)
    return True


async def to_pay(session: AsyncSession, order: models.Order) -> int:
    """What is to be paid next: the rest of the first instalment that is open, or of the whole."""
    if order.minor is None:
        return 0
    paid = order.minor - await ledger.owed(session, order.id)
    sums = await session.scalars(select(models.Instalment.sum).where(models.Instalment.order_id == order.id))
    return next((sum_ - paid for sum_ in sorted(sums) if sum_ > paid), max(0, order.minor - paid))


async def collect(session: AsyncSession, order_id: UUID, now: datetime, new_id: NewId) -> None:
    """An instalment has fallen due: where it did not come, the order ends, its donor is told, and others may buy."""
    order = await moves.locked(session, order_id)
    mine = models.Instalment.order_id == order_id, models.Instalment.due <= now
    due = (await session.execute(select(func.coalesce(func.max(models.Instalment.sum), 0)).where(*mine))).scalar_one()
    if order.state != ORDER.first or (order.minor or 0) - await ledger.owed(session, order_id) >= due:
        return
    await call_off(session, order, "overdue", None, now)
    wanted = NotificationWanted(new_id(), order.donor_id, order_id, "order_overdue", {})
    await outbox.publish(session, "notification.send", wanted, subject=order.donor_id, now=now)


async def call_off(session: AsyncSession, order: models.Order, why: str, by: UUID | None, now: datetime) -> bool:
    """End a locked order, and want back for its donor whatever was paid. False where it has ended already.

    Raises ``bad_transition`` for one that is too far along.
    """
    if order.state in CALLED_OFF:
        return False
    await moves.move(session, order, "cancelled" if order.state == ORDER.first else "refunded", now, why)
    await ledger.take_back(session, order, now)
    for payment in await session.scalars(select(models.Payment).where(models.Payment.order_id == order.id)):
        await _want_refund(session, payment, by, now)
    return True


async def _want_refund(session: AsyncSession, payment: models.Payment, by: UUID | None, now: datetime) -> None:
    wanted = {"payment_key": payment.key, "wanted": now, "wanted_by": by}
    await session.execute(insert(models.Refund).values(wanted).on_conflict_do_nothing())


async def refunds(session: AsyncSession) -> list[schemas.Refund]:
    """The refunds that are not done yet, the oldest first."""
    query = _refunds().where(models.Refund.done.is_(None)).order_by(models.Refund.wanted)
    return [_refund(*row) for row in (await session.execute(query)).tuples()]


async def approve_refund(session: AsyncSession, key: str, by: UUID, now: datetime) -> schemas.Refund:
    """Let a refund go out: one by hand was paid out, one by card goes back through the gateway.

    Raises ``not_found``, or ``four_eyes`` for whoever called the order off.
    """
    row = await session.get(models.Refund, key, with_for_update=True, populate_existing=True)
    if row is None:
        raise QurbaniError("not_found", "there is no such refund")
    if row.wanted_by == by:
        raise QurbaniError("four_eyes", "you have called this order off yourself")
    if row.approved_by is None:
        row.approved_by, row.approved = by, now
        await session.flush()
        payment = await session.get_one(models.Payment, key)
        audit.about(session, subject=payment.order_id, payment=key)
        if payment.method == CARD:
            await jobs.enqueue(session, REFUND, key, {"key": key}, now)
        else:
            await paid_back(session, key, now)
    return _refund(*(await session.execute(_refunds().where(models.Refund.payment_key == key))).tuples().one())


async def to_pay_back(session: AsyncSession, key: str) -> schemas.Paid:
    """A payment by card that an approved refund is of."""
    payment = await session.get_one(models.Payment, key)
    return schemas.Paid(key, payment.minor, payment.currency, payment.reference)


async def paid_back(session: AsyncSession, key: str, now: datetime) -> None:
    """The money of a refund has gone out. A second time changes nothing."""
    row = await session.get_one(models.Refund, key, with_for_update=True, populate_existing=True)
    if row.done is None:
        row.done = now
        payment = await session.get_one(models.Payment, key)
        lines = {ledger.DONOR: payment.minor, payment.method: -payment.minor}
        await ledger.post(session, payment.order_id, "refund", lines, payment.currency, now)


def _refunds() -> Select[tuple[models.Refund, models.Payment]]:
    return select(models.Refund, models.Payment).join(models.Payment)


def _refund(row: models.Refund, payment: models.Payment) -> schemas.Refund:
    return schemas.Refund(
        row.payment_key, payment.order_id, payment.minor, payment.currency, payment.method, row.wanted, row.wanted_by,
        row.approved_by, row.done,
    )  # fmt: skip
