"""What a donor has agreed to, what the hub holds of them, and being forgotten."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import URLEncodedBody
from litestar.response import Redirect

from cloud.auth import service as auth
from cloud.donors import service as donors
from cloud.pages.frame import MAX_FORM_BYTES, AnyRequest, Page, again, page
from cloud.pages.schemas import Consent, Erase
from cloud.platform import given
from cloud.privacy import service as privacy
from shared.errors import QurbaniError

REFUSED = ("bad_credentials", "too_many_requests", "open_orders")


@get("/account/data", roles=("donor",))
async def my_data(request: AnyRequest, session: given.Session, who: given.Who) -> Page:
    """One's own data: see them, agree, leave."""
    return page(request, "data.html", consents=await donors.agreements(session, who.id), refused="")


@post("/account/consents", roles=("donor",), request_max_body_size=MAX_FORM_BYTES)
async def consent(data: URLEncodedBody[Consent], session: given.Session, who: given.Who, now: given.Now) -> Redirect:
    """Agree to a purpose, or withdraw it."""
    await donors.choose(session, who.id, donors.Agree(data.purpose, bool(data.agreed)), now)
    return Redirect("/account/data", status_code=303)


@post("/account/erase", roles=("donor",), limit="sign-in", request_max_body_size=MAX_FORM_BYTES)
async def erase(
    data: URLEncodedBody[Erase], request: AnyRequest, platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Response[Any]:
    """Be forgotten; shows the receipt, once, and leaves nothing in the browser."""
    try:
        receipt = await privacy.erase_me(session, platform, who.id, privacy.EraseMe(data.password), now)
    except QurbaniError as error:
        held = await donors.agreements(session, who.id)
        return again(request, session, "data.html", error, REFUSED, consents=held)
    shown = page(request, "erased.html", receipt=receipt.text())
    shown.set_cookie(auth.cookie(platform, ""))
    shown.headers |= auth.CLEAR
    return shown


HANDLERS = [my_data, consent, erase]
