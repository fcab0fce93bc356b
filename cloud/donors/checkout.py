"""Paying by card: the donor is sent to the gateway, and the gateway calls back; at least once, and in any order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import ledger, models, payments
from cloud.donors.gateway import Bill, Gateway, Till
from cloud.donors.stripe import Stripe
from cloud.platform import audit
from cloud.platform.settings import Settings
from shared.domain.order import ORDER
from shared.errors import QurbaniError


def gateway(settings: Settings) -> Gateway:
    """Raises ``not_found`` where none is set up: then money comes by hand only."""
    if not takes_cards(settings):
        raise QurbaniError("not_found", "paying by card is not set up here")
    return Stripe(settings)


def takes_cards(settings: Settings) -> bool:
    """Whether anybody takes cards for us."""
    return bool(settings.stripe_key and settings.stripe_secret)


async def check_out(session: AsyncSession, order_id: UUID, donor_id: UUID, settings: Settings) -> Till:
    """Where a donor pays what is next to be paid of an order of their own.

    Raises ``not_found``, ``bad_transition`` where nothing is to be paid, and what :class:`Gateway` raises.
    """
    cards = gateway(settings)
    order = await session.get(models.Order, order_id)
    if order is None or order.donor_id != donor_id:
        raise QurbaniError("not_found", "there is no such order")
    minor = await payments.to_pay(session, order)
    if order.state != ORDER.first or not minor or order.currency is None:
        raise QurbaniError("bad_transition", "nothing is to be paid here", state=order.state)
    paid = (order.minor or 0) - await ledger.owed(session, order_id)
    back = f"{settings.base_url}/orders/{order_id}"
    return await cards.open_till(Bill(order_id, str(order.number), minor, order.currency, paid, back))


async def called(
    session: AsyncSession, headers: Mapping[str, str], body: bytes, settings: Settings, now: datetime
) -> None:
    """The gateway tells something. The same again changes nothing. Raises ``bad_signature`` or ``bad_input``."""
    call = gateway(settings).read_call(headers, body, now)
    heard = insert(models.Callback).values(id=call.id, at=now).on_conflict_do_nothing()
    if not (await session.execute(heard.returning(models.Callback.id))).first():
        return
    order = await session.get(models.Order, call.order_id) if call.order_id else None
    if call.paid and order:
        audit.about(session, subject=order.id, payment=call.paid.key)
        await payments.came_in(session, order.id, call.paid, now)
