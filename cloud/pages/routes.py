"""The pages: real addresses, plain forms, nothing that needs a script."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Redirect

from cloud.donors import service as donors
from cloud.guests import service as guests
from cloud.pages import accounts, mine, ordering, queues, remedies, search, service, sites
from cloud.pages import guests as guest_pages
from cloud.pages.frame import MAX_FORM_BYTES, AnyRequest, Page, To, local, page, problem
from cloud.pages.schemas import Feedback, Vote
from cloud.platform import given
from cloud.platform.access import ANYONE, ROLES
from cloud.processing import service as processing
from cloud.uploads import service as uploads
from shared.errors import QurbaniError
from shared.pages import assets
from shared.pages.visitor import language_cookie, language_of

HOMES = {"donor": "/orders", "admin": "/review", "auditor": "/review"}


@get("/", roles=(ANYONE,))
async def front(request: AnyRequest) -> Page:
    """What this is."""
    return page(request, "front.html")


@get("/language/{language:str}", roles=(ANYONE,))
async def speak(language: FromPath[str], platform: given.Platform, to: To = "/") -> Redirect:
    """Speak another language from now on, beginning with the page ``to``."""
    chosen = language_cookie(language, secure=platform.settings.https)
    return Redirect(local(to), status_code=303, cookies=[chosen])


@get("/home", roles=ROLES)
async def home(who: given.Who) -> Redirect:
    """Where whoever has signed in has something to do."""
    return Redirect(HOMES.get(who.role, "/"), status_code=303)


@get("/orders", roles=("donor",))
async def orders(request: AnyRequest, session: given.Session, who: given.Who) -> Page:
    """A donor's own orders."""
    return page(request, "orders.html", orders=await service.orders(session, who.id))


@get("/orders/{order_id:uuid}", roles=("donor",))
async def order(
    order_id: FromPath[UUID], request: AnyRequest, platform: given.Platform, session: given.Session, who: given.Who,
    now: given.Now,
) -> Page:
    """One order: how far it is, its video, its certificate, and the links to it."""
    found = await service.order(session, order_id, who.id)
    links = await guests.links_to(session, platform, order_id, who.id, now)
    certificate = await guests.certificate_of(session, platform.settings, order_id)
    return page(
        request, "order.html", order=found, links=links, certificate=certificate, utc=UTC,
        due=await donors.due(session, order_id, who.id), cards=donors.takes_cards(platform.settings),
        pay_at=platform.settings.pay_at, instead=await donors.instead(session, order_id),
    )  # fmt: skip


@post("/orders/{order_id:uuid}/videos/{video_id:uuid}/restore", roles=("donor",))
async def restore(
    order_id: FromPath[UUID], video_id: FromPath[UUID], platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Redirect:
    """Ask for a video that is in the archive."""
    await uploads.ask_back(session, video_id, who, now, platform.new_id)
    return Redirect(f"/orders/{order_id}", status_code=303)


@post("/orders/{order_id:uuid}/videos/{video_id:uuid}/own", roles=("donor",))
async def own(
    order_id: FromPath[UUID], video_id: FromPath[UUID], session: given.Session, who: given.Who, now: given.Now
) -> Redirect:
    """Ask for a copy in which no names but one's own are heard."""
    await processing.ask_own(session, video_id, who.id, now)
    return Redirect(f"/orders/{order_id}", status_code=303)


@get("/review", roles=("admin", "auditor"))
async def review_queue(request: AnyRequest, session: given.Session, who: given.Who, now: given.Now) -> Page:
    """The videos that wait for a person."""
    return page(request, "review_queue.html", queue=await service.queue(session, who.id, now), now=now)


@get("/review/next", roles=("admin",))
async def review_next(session: given.Session, who: given.Who, now: given.Now) -> Redirect:
    """The most urgent one that nobody else has open, or the queue where there is none."""
    video_id = await processing.take_next(session, who.id, now)
    return Redirect(f"/review/{video_id}" if video_id else "/review", status_code=303)


@get("/review/{video_id:uuid}", roles=("admin", "auditor"))
async def review(
    video_id: FromPath[UUID], request: AnyRequest, session: given.Session, who: given.Who, now: given.Now
) -> Page:
    """A video and the evidence for it; whoever may decide has it to themselves for a while."""
    is_mine = who.role == "admin" and await processing.take(session, video_id, who.id, now)
    return await _review(request, session, who, video_id, is_mine=is_mine)


@post("/review/{video_id:uuid}", roles=("admin",), request_max_body_size=MAX_FORM_BYTES)
async def decide(
    video_id: FromPath[UUID], data: URLEncodedBody[Vote], request: AnyRequest, session: given.Session,
    who: given.Who, now: given.Now,
) -> Response[Any]:
    """Say what it shows, and go on to the next."""
    try:
        new = processing.NewVote(data.vote, data.note[:500])
        await processing.vote(session, video_id, who.id, new, now)
    except QurbaniError as error:
        if error.code not in ("bad_input", "conflict"):
            raise
        status = error.kind.status
        return await _review(request, session, who, video_id, is_mine=True, refused=error.code, status=status)
    return Redirect("/review/next", status_code=303)


@post("/review/{video_id:uuid}/feedback", roles=("admin",), request_max_body_size=MAX_FORM_BYTES)
async def say_of(
    video_id: FromPath[UUID], data: URLEncodedBody[Feedback], session: given.Session, now: given.Now
) -> Redirect:
    """Say something to whoever recorded it."""
    await uploads.say_of(session, video_id, data.text[:500], now)
    return Redirect(f"/review/{video_id}", status_code=303)


async def _review(
    request: AnyRequest, session: given.Session, who: given.Who, video_id: UUID, *, is_mine: bool, refused: str = "",
    status: int = 200,
) -> Page:
    facts = {"is_mine": is_mine, "refused": refused}
    found = await service.reviewed(session, video_id, who.id, language_of(request, who.language))
    return page(request, "review.html", status, film=found, **facts)


ROUTES = [
    Router(
        "/",
        route_handlers=[
            front, home, speak, *accounts.HANDLERS, *mine.HANDLERS, *queues.HANDLERS, *search.HANDLERS,
            *guest_pages.HANDLERS, *ordering.HANDLERS, *remedies.HANDLERS, *sites.HANDLERS,
            orders, order, restore, own, review_queue, review_next, review, decide, say_of,
        ],
        exception_handlers={Exception: problem},
        opt={"form": True},
        include_in_schema=False,
    ),
    assets.router(opt={"roles": (ANYONE,), "limit": "none"}),
]
