"""Ordering in the browser, without a script: the form, what it comes to, paying, and the ledger of an order."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.executors import service as executors
from cloud.pages.frame import AnyRequest, Page, page
from cloud.pages.schemas import Filled, Offer, Quoted, Row
from cloud.platform import given
from shared.errors import QurbaniError
from shared.pages.visitor import language_of

MOST = 14
"""Names on one form: two cows. Whoever gives for more places another order."""
PARTS = (1, 2, 3, 4, 6, 12)
"""Into how many monthly instalments a price may be divided here."""
MAX_ORDER_BYTES = 64 << 10


@get("/orders/new", roles=("donor",))
async def new_order(
    request: AnyRequest, platform: given.Platform, session: given.Session, who: given.Who
) -> Page:
    """The form. The order's id is drawn here, so that a form that is sent twice places one order."""
    filled = Filled(platform.new_id(), [Row(language=language_of(request, who.language))])
    return await _form(request, session, filled)


@post("/orders/new", roles=("donor",), request_max_body_size=MAX_ORDER_BYTES)
async def place(
    request: AnyRequest, platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> Response[Any]:
    """Another name, one less, what it comes to, or the order itself: which button it was says."""
    form: Mapping[str, str] = await request.form()
    filled = _filled(form)
    match form.get("do"):
        case "more":
            return await _form(request, session, filled.with_rows(len(filled.rows) + 1, MOST))
        case "fewer":
            return await _form(request, session, filled.with_rows(len(filled.rows) - 1, MOST))
    try:
        order = await _order(session, filled, now.date())
    except QurbaniError as error:
        if error.code != "bad_input":
            raise
        return await _form(request, session, filled, refused=error.facts.get("field", ""))
    if form.get("do") != "order" or form.get("minor") != str(order.minor):  # the price is another since it was seen
        return await _form(request, session, filled, quoted=order)
    placed = await donors.place_once(session, who.id, filled.id, order.new, now=now, new_id=platform.new_id)
    return Redirect(f"/orders/{placed.id}", status_code=303)


@post("/orders/{order_id:uuid}/pay", roles=("donor",), status_code=200)
async def pay(
    order_id: FromPath[UUID], request: AnyRequest, platform: given.Platform, session: given.Session, who: given.Who
) -> Page:
    """The way to where cards are taken. A link, as a form must not lead away from here."""
    till = await donors.check_out(session, order_id, who.id, platform.settings)
    return page(request, "pay.html", order_id=order_id, till=till, due=await donors.due(session, order_id, who.id))


@get("/orders/{order_id:uuid}/ledger", roles=("donor", "admin", "auditor"))
async def ledger(order_id: FromPath[UUID], request: AnyRequest, session: given.Session, who: given.Who) -> Page:
    """Everything that was charged and paid of an order; each entry sums to zero."""
    own = who.id if who.role == "donor" else None
    order = await donors.get(session, order_id, donor_id=own)
    found = await donors.ledger(session, order_id, donor_id=own)
    return page(request, "ledger.html", order=order, ledger=found, pairs=_pairs, utc=UTC)


def _pairs(entry: donors.Entry) -> list[tuple[str, int]]:
    return [(line.account, line.minor) for line in entry.postings]


async def _form(
    request: AnyRequest, session: AsyncSession, filled: Filled, quoted: Quoted | None = None,
    refused: str | None = None,
) -> Page:
    facts = {"filled": filled, "offers": await _offers(session), "parts": PARTS, "most": MOST, "utc": UTC,
             "quoted": quoted, "refused": refused}  # fmt: skip
    return page(request, "order_new.html", 200 if refused is None else 400, **facts)


async def _order(session: AsyncSession, filled: Filled, today: date) -> Quoted:
    """The order that a form describes, and what it costs. Raises ``bad_input``."""
    species, currency, site_id = (*filled.offer.split("/"), "", "")[:3]
    shares = [
        {
            "name": row.name.strip(), "language": row.language,
            "spellings": [row.spelling.strip()] if row.spelling.strip() else [],
            "deceased": row.deceased, "anonymous": row.anonymous, "phone": row.phone.replace(" ", ""),
        }
        for row in filled.rows
    ]  # fmt: skip
    told = {"species": species, "currency": currency, "site_id": site_id or None, "shares": shares}
    try:
        new = msgspec.convert(told, donors.NewOrder)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_input", str(error), field=str(error).rpartition(".")[2].rstrip("`")) from error
    minor = await donors.quote(session, new)
    plan = monthly(minor, filled.parts, today)
    return Quoted(msgspec.structs.replace(new, instalments=plan), minor, currency)


async def _offers(session: AsyncSession) -> list[Offer]:
    """The price list, with the names of sites."""
    prices = await donors.prices(session)
    wanted = {price.site_id for price in prices if price.site_id}
    sites = {id: (await executors.site(session, id)).name for id in wanted}
    return [
        Offer(f"{price.species}/{price.currency}/{price.site_id or ''}", price, sites.get(price.site_id, ""))
        for price in sorted(prices, key=lambda price: (price.minor, price.species))
    ]


def _filled(form: Mapping[str, str]) -> Filled:
    """What was typed, whatever it is. Raises ``bad_input`` for what no form of ours sends."""
    try:
        count = max(1, min(int(form.get("count", "1")), MOST))
        rows = [
            Row(
                form.get(f"name-{at}", "")[:200], form.get(f"language-{at}", ""), form.get(f"spelling-{at}", "")[:200],
                bool(form.get(f"deceased-{at}")), bool(form.get(f"anonymous-{at}")), form.get(f"phone-{at}", "")[:20],
            )
            for at in range(count)
        ]  # fmt: skip
        parts = int(form.get("parts", "1"))
        return Filled(UUID(form.get("id", "")), rows, form.get("offer", ""), parts if parts in PARTS else 1)
    except ValueError as error:
        raise QurbaniError("bad_input", "this is no form of ours") from error


def monthly(minor: int, parts: int, first: date) -> list[donors.NewInstalment]:
    """``minor`` in equal parts, the first today and larger by what is left over; none where it is paid at once."""
    if parts == 1:
        return []
    each = minor // parts
    sums = [minor - each * (parts - 1), *[each] * (parts - 1)]
    return [donors.NewInstalment(_months_on(first, at), sum_) for at, sum_ in enumerate(sums)]


def _months_on(day: date, months: int) -> date:
    """The same day some months on, or the last of that month where it has none such."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


HANDLERS = [new_order, place, pay, ledger]
