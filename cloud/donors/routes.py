"""Registering, ordering, and booking what was paid."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from cloud.donors import service
from cloud.donors.schemas import Donor, NewDonor, NewOrder, NewPayment, Order
from cloud.platform import given
from cloud.platform.access import ANYONE, Principal

State = Annotated[str | None, QueryParameter(name="state")]


@post("/api/v1/donors", roles=(ANYONE,), limit="sign-in")
async def register(data: JSONBody[NewDonor], platform: given.Platform, session: given.Session, now: given.Now) -> Donor:
    """Open a donor's account."""
    return await service.register(session, data, now=now, new_id=platform.new_id)


@post("/api/v1/orders", roles=("donor",))
async def place(
    data: JSONBody[NewOrder], platform: given.Platform, session: given.Session, now: given.Now, who: given.Who
) -> Order:
    """Place an order of one's own: at least one share, each on behalf of somebody."""
    return await service.place(session, who.id, data, now=now, new_id=platform.new_id)


@get("/api/v1/orders", roles=("donor", "admin", "auditor"))
async def orders(session: given.Session, who: given.Who, in_state: State = None) -> list[Order]:
    """A donor's own orders, or everybody's, the newest first."""
    return await service.orders(session, donor_id=_own(who), state=in_state)


@get("/api/v1/orders/{order_id:uuid}", roles=("donor", "admin", "auditor"))
async def order(order_id: FromPath[UUID], session: given.Session, who: given.Who) -> Order:
    """One order with its timeline."""
    return await service.get(session, order_id, donor_id=_own(who))


@post("/api/v1/orders/{order_id:uuid}/payments", status_code=200, roles=("admin",))
async def pay(order_id: FromPath[UUID], data: JSONBody[NewPayment], session: given.Session, now: given.Now) -> Order:
    """Book what came in by hand. The same ``key`` again books nothing."""
    return await service.pay(session, order_id, data, now)


def _own(who: Principal) -> UUID | None:
    """Whose orders ``who`` may see; None for everybody's."""
    return who.id if who.role == "donor" else None


ROUTES = [register, place, orders, order, pay]
