"""The pages: real addresses, plain forms, nothing that needs a script."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from litestar import MediaType, Request, Response, Router, get, post
from litestar.params import FromPath, QueryParameter, URLEncodedBody
from litestar.response import Redirect

from cloud.auth import service as auth
from cloud.pages import service
from cloud.pages.schemas import SignIn, Vote
from cloud.platform import audit, given
from cloud.platform.access import ANYONE, ROLES
from cloud.processing import service as processing
from cloud.uploads import service as uploads
from shared.errors import QurbaniError
from shared.pages import assets
from shared.pages.look import Look
from shared.pages.visitor import here, language_cookie, language_of
from shared.problems import as_qurbani_error, problem_response

AnyRequest = Request[Any, Any, Any]
Page = Response[str]
To = Annotated[str, QueryParameter(name="to")]

MAX_FORM_BYTES = 16 << 10
HOMES = {"donor": "/orders", "admin": "/review", "auditor": "/review"}

_look = Look(Path(__file__).parent / "templates")


@get("/", roles=(ANYONE,))
async def front(request: AnyRequest) -> Page:
    """What this is."""
    return _page(request, "front.html")


@get("/sign-in", roles=(ANYONE,))
async def sign_in_form(request: AnyRequest, to: To = "/home") -> Page:
    """The form; ``to`` is the page that was asked for."""
    return _page(request, "sign_in.html", to=_here(to), email="", refused="")


@post("/sign-in", roles=(ANYONE,), limit="sign-in", request_max_body_size=MAX_FORM_BYTES)
async def sign_in(
    data: URLEncodedBody[SignIn], request: AnyRequest, platform: given.Platform, session: given.Session
) -> Response[Any]:
    """Begin a session, and go to the page that was asked for."""
    try:
        device = auth.device(platform, request.cookies)
        user = await auth.check_password(session, platform, data.email, data.password, device=device)
    except QurbaniError as error:
        if error.code not in ("bad_credentials", "too_many_requests"):
            raise
        audit.about(session, outcome="refused", code=error.code)
        # A form is answered by the form, with what was typed, and not by a page about the problem.
        facts = {"to": _here(data.to), "email": data.email, "refused": error.code}
        return _page(request, "sign_in.html", error.kind.status, **facts)
    token = await auth.open_page(session, user, platform, request.headers.get("user-agent", ""))
    return Redirect(_here(data.to), status_code=303, cookies=auth.cookies(platform, user, token))


@post("/sign-out", roles=(ANYONE,), request_max_body_size=MAX_FORM_BYTES)
async def sign_out(request: AnyRequest, platform: given.Platform, session: given.Session, now: given.Now) -> Redirect:
    """End the session, and leave nothing of it in the browser."""
    await auth.end_session(session, request.cookies.get(auth.cookie_name(platform), ""), now)
    headers = {"Clear-Site-Data": '"cache", "storage"'}
    return Redirect("/", status_code=303, cookies=[auth.cookie(platform, "")], headers=headers)


@get("/language/{language:str}", roles=(ANYONE,))
async def speak(language: FromPath[str], platform: given.Platform, to: To = "/") -> Redirect:
    """Speak another language from now on, beginning with the page ``to``."""
    chosen = language_cookie(language, secure=platform.settings.https)
    return Redirect(_here(to), status_code=303, cookies=[chosen])


@get("/home", roles=ROLES)
async def home(who: given.Who) -> Redirect:
    """Where whoever has signed in has something to do."""
    return Redirect(HOMES.get(who.role, "/"), status_code=303)


@get("/orders", roles=("donor",))
async def orders(request: AnyRequest, session: given.Session, who: given.Who) -> Page:
    """A donor's own orders."""
    return _page(request, "orders.html", orders=await service.orders(session, who.id))


@get("/orders/{order_id:uuid}", roles=("donor",))
async def order(order_id: FromPath[UUID], request: AnyRequest, session: given.Session, who: given.Who) -> Page:
    """One order: how far it is, and its video."""
    return _page(request, "order.html", order=await service.order(session, order_id, who.id))


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
    return _page(request, "review_queue.html", queue=await service.queue(session, who.id, now), now=now)


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


async def _review(
    request: AnyRequest, session: given.Session, who: given.Who, video_id: UUID, *, is_mine: bool, refused: str = "",
    status: int = 200,
) -> Page:
    facts = {"is_mine": is_mine, "refused": refused}
    found = await service.reviewed(session, video_id, who.id, language_of(request, who.language))
    return _page(request, "review.html", status, film=found, **facts)


def problem(request: AnyRequest, error: Exception) -> Response[Any]:
    """A page for what went wrong; whoever must sign in first is sent there and comes back."""
    ours = as_qurbani_error(error)
    if ours.code == "not_signed_in":
        return Redirect("/sign-in", status_code=303, query_params={"to": request.url.path})
    status = problem_response(request, error).status_code
    return _page(request, "problem.html", status, status=status)


def _page(request: AnyRequest, template: str, status_code: int = 200, **facts: Any) -> Page:
    who = request.scope.get("user")
    facts |= {"who": who, "path": request.url.path}
    html = _look.render(template, language_of(request, who.language if who else None), **facts)
    return Response(html, status_code=status_code, media_type=MediaType.HTML)


def _here(to: str) -> str:
    return here(to, "/home")


ROUTES = [
    Router(
        "/",
        route_handlers=[
            front, home, sign_in_form, sign_in, sign_out, speak, orders, order, restore, own,
            review_queue, review_next, review, decide,
        ],
        exception_handlers={Exception: problem},
        include_in_schema=False,
    ),
    assets.router(opt={"roles": (ANYONE,), "limit": "none"}),
]
