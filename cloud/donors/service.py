"""Orders and how they move. Every change to an order holds the lock of its row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from cloud.auth import service as auth
from cloud.donors import models
from cloud.donors.schemas import Donor, NewDonor, NewOrder, NewPayment, Order, Share, Step
from cloud.platform import audit, personal
from shared.domain.order import ORDER
from shared.errors import QurbaniError
from shared.ids import NewId

PAGE = 50
CALLED_OFF = ("cancelled", "refunded")


async def register(session: AsyncSession, new: NewDonor, *, now: datetime, new_id: NewId) -> Donor:
    """A donor's record and the account of the same id. Raises ``conflict`` where the address has an account."""
    id = new_id()
    await auth.create_user(
        session, id=id, email=new.email, password=new.password, role="donor", name=new.name, language=new.language,
        now=now,
    )  # fmt: skip
    session.add(models.Donor(
        id=id, key=await personal.key_of(session, id), person=models.Contact(new.name, new.email, new.phone),
        phone_index=personal.blind(session, "phone", new.phone) if new.phone else None, language=new.language,
        created=now,
    ))  # fmt: skip
    await session.flush()
    audit.about(session, subject=id)
    return await donor(session, id)


async def donor(session: AsyncSession, donor_id: UUID) -> Donor:
    """How to reach a donor. Raises ``not_found``."""
    found = await session.get(models.Donor, donor_id)
    if found is None:
        raise QurbaniError("not_found", "there is no such donor")
    who = found.person
    return Donor(found.id, who.name, who.email, who.phone, found.language)


async def place(session: AsyncSession, donor_id: UUID, new: NewOrder, *, now: datetime, new_id: NewId) -> Order:
    """A new order, ``placed``."""
    await donor(session, donor_id)
    key = await personal.key_of(session, donor_id)
    order = models.Order(id=new_id(), donor_id=donor_id, species=new.species, state=ORDER.first, created=now)
    order.shares = [
        models.Share(
            id=new_id(), key=key, person=models.Named(share.name, share.spellings), language=share.language)
        for share in new.shares
    ]
    order.steps = [models.Step(state=ORDER.first, at=now)]
    session.add(order)
    await session.flush()
    audit.about(session, subject=order.id)
    return await get(session, order.id)


async def orders(session: AsyncSession, *, donor_id: UUID | None = None, state: str | None = None) -> list[Order]:
    """The newest orders, of one donor or of all, at most :data:`PAGE`."""
    query = _orders().order_by(models.Order.number.desc()).limit(PAGE)
    if donor_id is not None:
        query = query.where(models.Order.donor_id == donor_id)
    if state is not None:
        query = query.where(models.Order.state == state)
    return [_order(row) for row in await session.scalars(query)]


async def get(session: AsyncSession, order_id: UUID, *, donor_id: UUID | None = None) -> Order:
    """One order. Raises ``not_found`` also where it is another donor's than ``donor_id``."""
    row = await session.scalar(_orders().where(models.Order.id == order_id))
    if row is None or donor_id not in (None, row.donor_id):
        raise QurbaniError("not_found", "there is no such order")
    return _order(row)


async def pay(session: AsyncSession, order_id: UUID, payment: NewPayment, now: datetime) -> Order:
    """Book a payment; the first one pays the order. The same payment again changes nothing.

    Raises ``conflict`` where the key was used for something else, ``bad_transition`` for an order that is called off.
    """
    order = await _locked(session, order_id)
    if order.state in CALLED_OFF:
        raise QurbaniError("bad_transition", f"the order is {order.state}", state=order.state)
    fields = msgspec.structs.asdict(payment) | {"order_id": order_id}
    booking = insert(models.Payment).values(**fields, booked=now).on_conflict_do_nothing()
    if (await session.execute(booking.returning(models.Payment.key))).first():
        if order.state == ORDER.first:
            await _move(session, order, "paid", now)
        return await get(session, order_id)
    booked = await session.get_one(models.Payment, payment.key)
    if any(getattr(booked, field) != value for field, value in fields.items()):
        raise QurbaniError("conflict", "this key was used for another payment", key=payment.key)
    return await get(session, order_id)


async def move(session: AsyncSession, order_id: UUID, to: str, now: datetime) -> bool:
    """Bring an order to ``to``; False where it is there already. Raises ``bad_transition`` or ``not_found``."""
    return await _move(session, await _locked(session, order_id), to, now)


async def hold(session: AsyncSession, order_ids: Collection[UUID]) -> None:
    """Keep everybody else from moving these orders until this transaction ends."""
    await _locked_all(session, order_ids)


async def advance(session: AsyncSession, order_ids: Collection[UUID], to: str, now: datetime) -> list[UUID]:
    """Bring those of these orders to ``to`` that stand just before that; which they are.

    Of the others, nothing changes: they are further already, or were cancelled or refunded meanwhile, and what
    happened in the field has happened all the same.
    """
    moving = [order for order in await _locked_all(session, order_ids) if ORDER.allows(order.state, to)]
    await _step(session, moving, to, now)
    return [order.id for order in moving]


async def shares_of(session: AsyncSession, order_ids: Collection[UUID]) -> list[Share]:
    """The shares of these orders, in the order of their ids."""
    return await _shares(session, models.Share.order_id.in_(order_ids))


async def shares(session: AsyncSession, ids: Collection[UUID]) -> list[Share]:
    """The shares with these ids, in the order of their ids."""
    return await _shares(session, models.Share.id.in_(ids))


async def _shares(session: AsyncSession, which: ColumnElement[bool]) -> list[Share]:
    query = (
        select(models.Share, models.Order)
        .join(models.Order, models.Order.id == models.Share.order_id)
        .where(which)
        .order_by(models.Share.id)
    )
    return [_share(share, order) for share, order in await session.execute(query)]


async def _locked(session: AsyncSession, order_id: UUID) -> models.Order:
    orders = await _locked_all(session, [order_id])
    if not orders:
        raise QurbaniError("not_found", "there is no such order")
    return orders[0]


async def _locked_all(session: AsyncSession, order_ids: Collection[UUID]) -> Sequence[models.Order]:
    query = select(models.Order).where(models.Order.id.in_(order_ids)).order_by(models.Order.id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def _move(session: AsyncSession, order: models.Order, to: str, now: datetime) -> bool:
    if order.state == to:
        return False
    await _step(session, [order], to, now)
    return True


async def _step(session: AsyncSession, orders: Collection[models.Order], to: str, now: datetime) -> None:
    for order in orders:
        order.state = ORDER.move(order.state, to)
        session.add(models.Step(order_id=order.id, state=to, at=now))
    await session.flush()
    await audit.record_each(session, "donors.move", [order.id for order in orders], now=now, state=to)


def _orders() -> Select[tuple[models.Order]]:
    whole = selectinload(models.Order.shares), selectinload(models.Order.steps)
    return select(models.Order).options(*whole).execution_options(populate_existing=True)


def _order(row: models.Order) -> Order:
    return Order(
        id=row.id,
        reference=str(row.number),
        donor_id=row.donor_id,
        species=row.species,
        state=row.state,
        created=row.created,
        shares=[_share(share, row) for share in row.shares],
        timeline=[Step(step.state, step.at) for step in row.steps],
    )


def _share(row: models.Share, order: models.Order) -> Share:
    on_behalf = row.person
    return Share(
        row.id, order.id, order.donor_id, str(order.number), on_behalf.name, row.language, on_behalf.spellings)
