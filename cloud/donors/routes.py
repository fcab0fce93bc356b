"""Registering, ordering, prices, and money that comes in or goes back."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, get, post, put
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from cloud.donors import checkout, consents, payments, service
from cloud.donors import prices as price_list
from cloud.donors.consents import Agree, Agreed
from cloud.donors.gateway import Till
from cloud.donors.schemas import (
    ApproveRefund,
    Donor,
    Find,
    Found,
    Ledger,
    LookUp,
    NewDonor,
    NewOrder,
    NewPayment,
    NewPrice,
    NewRemedy,
    Order,
    Price,
    Refund,
    Remedied,
)
from cloud.platform import given
from cloud.platform.access import ANYONE, Principal

MAX_CALL_BYTES = 256 << 10

IfMatch = Annotated[str, HeaderParameter(name="If-Match")]
State = Annotated[str | None, QueryParameter(name="state")]


@post("/api/v1/donors", status_code=202, roles=(ANYONE,), limit="sign-in", even=True)
async def register(data: JSONBody[NewDonor], platform: given.Platform, session: given.Session) -> None:
    """Ask for a donor's account. The letter says how to confirm the address, or that it has an account already."""
    await service.register(session, platform, data)


@post("/api/v1/donors/find", status_code=200, roles=("admin",))
async def find(data: JSONBody[Find], session: given.Session) -> list[Donor]:
    """Donors by phone number or address, both as a whole."""
    return await service.find(session, data)


@post("/api/v1/donors/search", status_code=200, roles=("admin",))
async def look_up(data: JSONBody[LookUp], session: given.Session, paging: given.Paging) -> list[Found]:
    """Donors and their newest orders by a name in any script or spelling, a number, an address, or an order's number.

    It is a `POST` so that no log and no history has what was typed.
    """
    return await service.look_up(session, data.text, paging)


@get("/api/v1/consents", roles=("donor",))
async def my_consents(session: given.Session, who: given.Who) -> list[Agreed]:
    """What one has agreed to: nothing, until one says so."""
    return await consents.agreements(session, who.id)


@put("/api/v1/consents", roles=("donor",))
async def agree(data: JSONBody[Agree], session: given.Session, who: given.Who, now: given.Now) -> list[Agreed]:
    """Agree to a purpose, or withdraw it: from then on nothing is sent for it."""
    return await consents.choose(session, who.id, data, now)


@post("/api/v1/orders", roles=("donor",))
async def place(
    data: JSONBody[NewOrder], platform: given.Platform, session: given.Session, now: given.Now, who: given.Who
) -> Order:
    """Place an order of one's own: at least one share, each on behalf of somebody."""
    return await service.place(session, who.id, data, now=now, new_id=platform.new_id)


@get("/api/v1/orders", roles=("donor", "admin", "auditor"))
async def orders(
    session: given.Session, who: given.Who, paging: given.Paging, in_state: State = None
) -> list[Order]:
    """A donor's own orders, or everybody's, the newest first."""
    return await service.orders(session, paging, donor_id=_own(who), state=in_state)


@get("/api/v1/orders/{order_id:uuid}", roles=("donor", "admin", "auditor"), cached="donors")
async def order(order_id: FromPath[UUID], reading: given.Reading, who: given.Who) -> Order:
    """One order with its timeline."""
    return await service.look(reading, order_id, donor_id=_own(who))


@post("/api/v1/orders/{order_id:uuid}/payments", status_code=200, roles=("admin", "bookkeeper"))
async def pay(order_id: FromPath[UUID], data: JSONBody[NewPayment], session: given.Session, now: given.Now) -> Order:
    """Book what came in by hand. The same ``key`` again books nothing."""
    return await service.pay(session, order_id, data, now)


@post("/api/v1/orders/{order_id:uuid}/checkout", roles=("donor",), opt={"raises": ("bad_answer", "unavailable")})
async def check_out(
    order_id: FromPath[UUID], platform: given.Platform, session: given.Session, who: given.Who
) -> Till:
    """Where to pay by card what is next to be paid of an order of one's own."""
    return await checkout.check_out(session, order_id, who.id, platform.settings)


@post(
    "/api/v1/payments/stripe", status_code=204, roles=(ANYONE,), limit="none", request_max_body_size=MAX_CALL_BYTES,
    opt={"raises": ("bad_signature", "bad_input", "not_found")},
)  # fmt: skip
async def called(
    request: Request[Any, Any, Any], platform: given.Platform, session: given.Session, now: given.Now
) -> None:
    """What Stripe tells of payments; its signature says that it is Stripe."""
    await checkout.called(session, request.headers, await request.body(), platform.settings, now)


@get("/api/v1/orders/{order_id:uuid}/ledger", roles=("donor", "admin", "auditor", "bookkeeper"))
async def ledger(order_id: FromPath[UUID], session: given.Session, who: given.Who) -> Ledger:
    """What was charged and paid of an order, in double entry."""
    return await service.ledger(session, order_id, donor_id=_own(who))


@get("/api/v1/refunds", roles=("admin", "auditor", "bookkeeper"))
async def refunds(session: given.Session) -> list[Refund]:
    """The payments that are to go back and have not yet, the oldest first."""
    return await payments.refunds(session)


@post(
    "/api/v1/refunds/approve", status_code=200, roles=("admin",), step_up=True,
    opt={"raises": ("not_found", "four_eyes")},
)  # fmt: skip
async def approve_refund(
    data: JSONBody[ApproveRefund], session: given.Session, now: given.Now, who: given.Who
) -> Refund:
    """Let a payment go back: by card through the gateway, by hand it was paid out. Not by whoever called it off."""
    return await payments.approve_refund(session, data.key, who.id, now)


@get("/api/v1/remedies", roles=("admin", "auditor"))
async def remedies(session: given.Session) -> list[Order]:
    """The orders that were said to be done, turned out not to be proved, and wait for a remedy."""
    return await service.remedies(session)


@post(
    "/api/v1/orders/{order_id:uuid}/remedy", status_code=200, roles=("admin",), opt={"raises": ("bad_transition",)}
)
async def remedy(
    order_id: FromPath[UUID], data: JSONBody[NewRemedy], platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Remedied:
    """Give a donor another sacrifice, by another order that is paid already, or their money, which takes two people."""
    return await service.remedy(session, order_id, data.what, who.id, now, platform.new_id)


@get("/api/v1/prices", roles=(ANYONE,), cached="donors")
async def prices(session: given.Session) -> list[Price]:
    """What a share costs, by species, currency and site."""
    return await price_list.prices(session)


@put("/api/v1/prices", roles=("admin",), problems=("stale",))
async def set_price(
    data: JSONBody[NewPrice], platform: given.Platform, session: given.Session, if_match: IfMatch = ""
) -> Price:
    """Put up the price of a share wherever a site has none of its own. Orders that were placed keep theirs.

    With `If-Match`, the `ETag` of the list, it changes nothing where somebody else has changed the list since.
    """
    return await price_list.set_price(session, None, data, platform.new_id, if_match)


def _own(who: Principal) -> UUID | None:
    """Whose orders ``who`` may see; None for everybody's."""
    return who.id if who.role == "donor" else None


ROUTES = [
    register, find, look_up, my_consents, agree,
    place, orders, order, pay, check_out, called, ledger, refunds, approve_refund, remedies, remedy, prices, set_price,
]  # fmt: skip
