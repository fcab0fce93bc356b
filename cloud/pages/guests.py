"""What is shown without an account, an order by a link and a certificate by its code; and what donors do about both."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Response, get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from cloud.guests import service as guests
from cloud.pages import service
from cloud.pages.frame import AnyRequest, Page, page
from cloud.platform import given
from cloud.platform.access import ANYONE
from shared.errors import QurbaniError

Code = Annotated[str, QueryParameter(name="code")]


@get("/track/{token:str}", roles=(ANYONE,), limit="guest", audited="always")
async def track(
    token: FromPath[str], request: AnyRequest, platform: given.Platform, session: given.Session, now: given.Now
) -> Page:
    """How far an order is, to whoever has a link. All others are shown that there is no such page."""
    found = await guests.follow(session, platform, token, now)
    steps = service.road(found.state, found.timeline)
    return page(request, "track.html", order=found, steps=steps, zone=ZoneInfo(found.timezone))


@get("/check", roles=(ANYONE,), limit="guest")
async def check_form(request: AnyRequest, code: Code = "") -> Response[Any]:
    """The form for the code of a certificate."""
    if code:
        return Redirect(f"/check/{code[:40].replace('/', '')}", status_code=303)
    return page(request, "check.html", found=None, code="")


@get("/check/{code:str}", roles=(ANYONE,), limit="guest", audited="always")
async def check(code: FromPath[str], request: AnyRequest, session: given.Session) -> Page:
    """A certificate by its code, and whether it stands."""
    try:
        found = await guests.check(session, code)
    except QurbaniError as error:
        if error.code != "not_found":
            raise
        return page(request, "check.html", 404, found=None, code=code[:40])
    return page(request, "check.html", found=found, code=found.code, zone=ZoneInfo(found.shown.timezone))


@post("/orders/{order_id:uuid}/links", roles=("donor",))
async def make_link(
    order_id: FromPath[UUID], platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> Redirect:
    """A link to hand on."""
    await guests.make_link(session, platform, order_id, who.id, now)
    return Redirect(f"/orders/{order_id}#links", status_code=303)


@post("/orders/{order_id:uuid}/links/{link_id:uuid}/revoke", roles=("donor",))
async def revoke_link(
    order_id: FromPath[UUID], link_id: FromPath[UUID], session: given.Session, who: given.Who, now: given.Now
) -> Redirect:
    """End a link."""
    await guests.revoke(session, order_id, link_id, who.id, now)
    return Redirect(f"/orders/{order_id}#links", status_code=303)


@post("/orders/{order_id:uuid}/certificate", roles=("donor",))
async def issue(
    order_id: FromPath[UUID], platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> Redirect:
    """Make the certificate of an order that is done."""
    await guests.issue(session, platform.settings, order_id, who.id, now)
    return Redirect(f"/orders/{order_id}#certificate", status_code=303)


HANDLERS = [track, check_form, check, make_link, revoke_link, issue]
