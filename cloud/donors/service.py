"""Orders and how they move. Every change to an order holds the lock of its row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from itertools import accumulate, chain
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from cloud.auth import service as auth
from cloud.donors import consents, forgetting, models, moves, payments, search, whole
from cloud.donors import remedies as _remedies
from cloud.donors.checkout import check_out as check_out
from cloud.donors.checkout import takes_cards as takes_cards
from cloud.donors.consents import Agree as Agree
from cloud.donors.consents import Purpose as Purpose
from cloud.donors.consents import agreements as agreements
from cloud.donors.consents import choose as choose
from cloud.donors.consents import has_given as has_given
from cloud.donors.consents import history as history
from cloud.donors.ledger import of as ledger_of
from cloud.donors.ledger import owed
from cloud.donors.payments import CALLED_OFF as CALLED_OFF
from cloud.donors.payments import approve_refund as approve_refund
from cloud.donors.payments import refunds as refunds
from cloud.donors.prices import price_of
from cloud.donors.prices import prices as prices
from cloud.donors.prices import set_price as set_price
from cloud.donors.schemas import (
    Donor,
    Due,
    Find,
    Found,
    Instalment,
    Ledger,
    NewDonor,
    NewOrder,
    NewPayment,
    Order,
    Remedied,
    Share,
    Step,
    What,
)
from cloud.donors.schemas import NewInstalment as NewInstalment
from cloud.donors.schemas import NewPrice as NewPrice
from cloud.donors.schemas import Price as Price
from cloud.platform import audit, personal
from cloud.platform.core import Platform
from cloud.platform.paging import Paging, page
from shared.domain.order import DONE, ORDER
from shared.errors import QurbaniError
from shared.ids import NewId

MOST_ORDERS = 20
"""As many orders of a donor are shown to whoever looks them up, the newest."""


def new_donor(said: dict[str, str]) -> NewDonor:
    """What a form says, if it is as it has to be. Raises ``bad_input``."""
    try:
        return msgspec.convert(said, NewDonor)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_input", str(error)) from error


async def register(session: AsyncSession, platform: Platform, new: NewDonor) -> None:
    """A donor's account, to be confirmed by mail, and the record of the same id. See :func:`auth.register`.

    There is no order before the address is confirmed: all that we promise, the video first, goes to it.
    """
    account = auth.NewAccount(new.name, new.email, new.password, new.language)
    id = await auth.register(session, platform, account, "donor")
    if id is None:
        return
    row = await session.get(models.Donor, id)
    if row is None:
        row = models.Donor(id=id, key=await personal.key_of(session, id), created=platform.clock.now())
    row.person = models.Contact(new.name, new.email, new.phone)
    row.phone_index = personal.blind(session, "phone", new.phone) if new.phone else None
    row.language = new.language
    session.add(row)
    await session.flush()
    await search.note(session, id, id, [new.name])
    for purpose in new.consents:
        await consents.give(session, id, purpose, platform.clock.now())


async def find(session: AsyncSession, told: Find) -> list[Donor]:
    """Donors by a number that they gave, or by the address of their account; both as a whole."""
    row = models.Donor
    if told.phone:
        which = search.reached(session, told.phone)
    else:
        user = await auth.of_address(session, told.email)
        which = row.id == (user.id if user else None)
    return [await donor(session, id) for id in await session.scalars(select(row.id).where(which).order_by(row.id))]


async def look_up(session: AsyncSession, text: str, asked: Paging) -> list[Found]:
    """A page of the donors whom somebody may mean, with their orders. See :func:`cloud.donors.search.look_up`.

    It is told in the audit who was shown, and never what was typed.
    """
    found = await search.look_up(session, text, asked)
    audit.about(session, outcome="seen", donors=[str(row.id) for row in found])
    theirs = _orders().where(models.Order.donor_id.in_(row.id for row in found)).order_by(models.Order.number.desc())
    orders: dict[UUID, list[Order]] = defaultdict(list)
    for order in await session.scalars(theirs):
        if len(orders[order.donor_id]) < MOST_ORDERS:
            orders[order.donor_id].append(_order(order))
    return [Found(_donor(row), orders[row.id]) for row in found]


async def forget(session: AsyncSession, donor_id: UUID, by: UUID, now: datetime) -> list[Share]:
    """Prepare that a donor is erased; their shares, as they are read for the last time.

    See :func:`cloud.donors.forgetting.close`.
    """
    return await shares_of(session, await forgetting.close(session, donor_id, by, now))


async def donor(session: AsyncSession, donor_id: UUID) -> Donor:
    """How to reach a donor. Raises ``not_found``."""
    found = await session.get(models.Donor, donor_id)
    if found is None:
        raise QurbaniError("not_found", "there is no such donor")
    return _donor(found)


async def place(session: AsyncSession, donor_id: UUID, new: NewOrder, *, now: datetime, new_id: NewId) -> Order:
    """A new order, ``placed``."""
    await donor(session, donor_id)
    key = await personal.key_of(session, donor_id)
    order = models.Order(id=new_id(), donor_id=donor_id, species=new.species, state=ORDER.first, created=now)
    order.shares = [
        models.Share(
            id=new_id(), key=key, person=msgspec.convert(share, models.Named, from_attributes=True),
            language=share.language)
        for share in new.shares
    ]
    order.steps = [models.Step(state=ORDER.first, at=now)]
    session.add(order)
    await session.flush()
    for row, share in zip(order.shares, new.shares, strict=True):
        await search.note(session, donor_id, row.id, [share.name, *share.spellings], share.phone)
    await payments.charge(session, order, new, now)
    audit.about(session, subject=order.id)
    return await get(session, order.id)


async def place_once(
    session: AsyncSession, donor_id: UUID, order_id: UUID, new: NewOrder, *, now: datetime, new_id: NewId
) -> Order:
    """As :func:`place`, under an id that was drawn before: however often it is asked for, it is one order."""
    await session.execute(select(func.pg_advisory_xact_lock(int.from_bytes(order_id.bytes[8:], signed=True))))
    if await session.get(models.Order, order_id):
        return await get(session, order_id, donor_id=donor_id)
    ids = chain([order_id], iter(new_id, None))
    return await place(session, donor_id, new, now=now, new_id=lambda: next(ids))


async def quote(session: AsyncSession, new: NewOrder) -> int:
    """What an order would cost, in minor units of its currency. Raises ``bad_input`` where no price is put up."""
    return (await price_of(session, new.species, new.currency or "", new.site_id)).minor * len(new.shares)


async def due(session: AsyncSession, order_id: UUID, donor_id: UUID) -> Due | None:
    """What a donor has to pay next of an order of their own. Raises ``not_found``."""
    order = await get(session, order_id, donor_id=donor_id)
    minor = await payments.to_pay(session, await session.get_one(models.Order, order_id))
    if order.state != ORDER.first or not minor or order.currency is None:
        return None
    paid = (order.minor or 0) - await owed(session, order_id)
    sums = accumulate(each.minor for each in order.instalments)
    by = next((each.due for each, sum_ in zip(order.instalments, sums, strict=True) if sum_ > paid), None)
    return Due(minor, order.currency, by)


async def orders(
    session: AsyncSession, asked: Paging | None = None, *, donor_id: UUID | None = None, state: str | None = None
) -> list[Order]:
    """A page of the orders, of one donor or of all, the newest first."""
    query = _orders()
    if donor_id is not None:
        query = query.where(models.Order.donor_id == donor_id)
    if state is not None:
        query = query.where(models.Order.state == state)
    return [_order(row) for row, in await page(session, query, [models.Order.number], asked, newest_first=True)]


async def every_order(session: AsyncSession, donor_id: UUID) -> list[Order]:
    """All orders of a donor, the oldest first."""
    query = _orders().where(models.Order.donor_id == donor_id).order_by(models.Order.number)
    return [_order(row) for row in await session.scalars(query)]


async def get(session: AsyncSession, order_id: UUID, *, donor_id: UUID | None = None) -> Order:
    """One order. Raises ``not_found`` also where it is another donor's than ``donor_id``."""
    row = await session.scalar(_orders().where(models.Order.id == order_id))
    if row is None or donor_id not in (None, row.donor_id):
        raise QurbaniError("not_found", "there is no such order")
    return _order(row)


async def look(platform: Platform, order_id: UUID, *, donor_id: UUID | None = None) -> Order:
    """As :func:`get`, read together with what others ask for at this moment."""
    found = await platform.together.ask(whole.orders, platform, order_id)
    if found is None or donor_id not in (None, found.donor_id):
        raise QurbaniError("not_found", "there is no such order")
    return found


async def pay(session: AsyncSession, order_id: UUID, payment: NewPayment, now: datetime) -> Order:
    """Book a payment; the one that makes the sum full pays the order. See :func:`cloud.donors.payments.pay`."""
    await payments.pay(session, order_id, payment, now)
    return await get(session, order_id)


async def call_off(session: AsyncSession, order_id: UUID, why: str, by: UUID, now: datetime) -> Order:
    """End an order, and want back for its donor what was paid. See :func:`cloud.donors.payments.call_off`."""
    await payments.call_off(session, await moves.locked(session, order_id), why, by, now)
    return await get(session, order_id)


async def remedies(session: AsyncSession) -> list[Order]:
    """The orders that turned out not to be proved and wait for a remedy, the longest waiting first."""
    return [await get(session, id) for id in await _remedies.waiting(session)]


async def remedy(
    session: AsyncSession, order_id: UUID, what: What, by: UUID, now: datetime, new_id: NewId
) -> Remedied:
    """Another sacrifice, or the money. See :func:`cloud.donors.remedies.remedy`."""
    other = await _remedies.remedy(session, order_id, what, by, now, new_id)
    return Remedied(await get(session, order_id), await get(session, other) if other else None)


async def instead(session: AsyncSession, order_id: UUID) -> Order | None:
    """The order that stands in the place of this one."""
    other = await _remedies.instead(session, order_id)
    return await get(session, other) if other else None


async def ledger(session: AsyncSession, order_id: UUID, *, donor_id: UUID | None = None) -> Ledger:
    """What was charged and paid of an order. Raises ``not_found`` also where it is another donor's."""
    await get(session, order_id, donor_id=donor_id)
    return await ledger_of(session, order_id)


async def move(session: AsyncSession, order_id: UUID, to: str, now: datetime) -> bool:
    """Bring an order to ``to``; False where it is there already. Raises ``bad_transition`` or ``not_found``."""
    return await moves.move(session, await moves.locked(session, order_id), to, now)


async def hold(session: AsyncSession, order_ids: Collection[UUID]) -> None:
    """Keep everybody else from moving these orders until this transaction ends."""
    await moves.locked_all(session, order_ids)


async def advance(session: AsyncSession, order_ids: Collection[UUID], to: str, now: datetime) -> list[UUID]:
    """Bring those of these orders to ``to`` that stand just before that; which they are.

    Of the others, nothing changes: they are further already, or were cancelled or refunded meanwhile, and what
    happened in the field has happened all the same.
    """
    orders = await moves.locked_all(session, order_ids)
    before = [order for order in orders if ORDER.rank(order.state) < ORDER.rank(to)]
    moving = [order for order in before if ORDER.allows(order.state, to)]
    await moves.step(session, moving, to, now)
    return [order.id for order in moving]


async def tell(session: AsyncSession, order_ids: Collection[UUID], now: datetime) -> None:
    """What the donors of these orders see of them has changed."""
    await moves.tell(session, await moves.locked_all(session, order_ids), now)


async def reverse(session: AsyncSession, order_ids: Collection[UUID], now: datetime) -> list[UUID]:
    """What was said to be done of these orders did not hold: they wait for proof again. Which they are."""
    back = [order for order in await moves.locked_all(session, order_ids) if order.state in DONE]
    await moves.step(session, back, "sacrificed", now, "reversed")
    return [order.id for order in back]


async def become(session: AsyncSession, order_ids: Collection[UUID], species: str, now: datetime) -> None:
    """These orders are of another species from now on, at the same price."""
    for order in await moves.locked_all(session, order_ids):
        order.species = species
    await session.flush()
    await audit.record_each(session, "donors.become", sorted(order_ids), now=now, species=species)


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


def _orders() -> Select[tuple[models.Order]]:
    rows = (
        selectinload(models.Order.shares), selectinload(models.Order.steps), selectinload(models.Order.instalments),
    )  # fmt: skip
    return select(models.Order).options(*rows).execution_options(populate_existing=True)


def _order(row: models.Order) -> Order:
    return Order(
        id=row.id,
        reference=str(row.number),
        donor_id=row.donor_id,
        species=row.species,
        state=row.state,
        created=row.created,
        shares=[_share(share, row) for share in row.shares],
        timeline=[Step(step.state, step.at, step.why) for step in row.steps],
        site_id=row.site_id,
        currency=row.currency,
        minor=row.minor,
        instalments=[Instalment(each.due, each.minor) for each in row.instalments],
    )


def _donor(row: models.Donor) -> Donor:
    who = row.person
    return Donor(row.id, who.name, who.email, who.phone, row.language)


def _share(row: models.Share, order: models.Order) -> Share:
    said = row.person
    return Share(
        row.id, order.id, order.donor_id, str(order.number), said.name, row.language, said.spellings, said.deceased,
        said.anonymous, said.phone)
