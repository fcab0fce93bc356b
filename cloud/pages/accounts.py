"""The pages of one's account: signing in, registering, another password, and where one is signed in."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, QueryParameter, URLEncodedBody
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import service as auth
from cloud.donors import service as donors
from cloud.pages.frame import MAX_FORM_BYTES, AnyRequest, Page, To, again, local, page
from cloud.pages.schemas import ChangePassword, Chosen, Code, Forgotten, Register, SignIn
from cloud.platform import given
from cloud.platform.access import ANYONE, ROLES
from cloud.platform.core import Platform
from shared import codes
from shared.errors import QurbaniError
from shared.pages.visitor import language_of

Token = Annotated[str, QueryParameter(name="token")]

SIGN_IN_REFUSED = ("bad_credentials", "too_many_requests")
CHOICE_REFUSED = ("weak_password", "bad_link", "too_many_requests")


@get("/sign-in", roles=(ANYONE,))
async def sign_in_form(request: AnyRequest, to: To = "/home") -> Page:
    """The form; ``to`` is the page that was asked for."""
    return page(request, "sign_in.html", to=local(to), email="", refused="")


@post("/sign-in", roles=(ANYONE,), limit="sign-in", request_max_body_size=MAX_FORM_BYTES)
async def sign_in(
    data: URLEncodedBody[SignIn], request: AnyRequest, platform: given.Platform, session: given.Session
) -> Response[Any]:
    """Begin a session, and go to the page that was asked for."""
    try:
        device = auth.device(platform, request.cookies)
        user = await auth.check_password(session, platform, data.email, data.password, device=device)
    except QurbaniError as error:
        return again(request, session, "sign_in.html", error, SIGN_IN_REFUSED, to=local(data.to), email=data.email)
    return await _signed_in(request, platform, session, user, local(data.to))


@post("/sign-out", roles=(ANYONE,), request_max_body_size=MAX_FORM_BYTES)
async def sign_out(request: AnyRequest, platform: given.Platform, session: given.Session, now: given.Now) -> Redirect:
    """End the session, and leave nothing of it in the browser."""
    await auth.end_session(session, request.cookies.get(auth.cookie_name(platform), ""), now)
    return Redirect("/", status_code=303, cookies=[auth.cookie(platform, "")], headers=auth.CLEAR)


@get("/register", roles=(ANYONE,))
async def register_form(request: AnyRequest) -> Page:
    """The form of somebody who wants an account."""
    return page(request, "register.html", name="", email="", refused="")


@post("/register", roles=(ANYONE,), limit="sign-in", request_max_body_size=MAX_FORM_BYTES, even=True)
async def register(
    data: URLEncodedBody[Register], request: AnyRequest, platform: given.Platform, session: given.Session
) -> Page:
    """Ask for a donor's account; the letter says the rest."""
    typed = {"name": data.name, "email": data.email}
    try:
        await donors.register(session, platform, donors.new_donor(
            {**typed, "password": data.password, "language": language_of(request, None),
             "consents": ["order_mail"] if data.order_mail else []}
        ))  # fmt: skip
    except QurbaniError as error:
        refused = ("bad_input", "weak_password", "too_many_requests")
        return again(request, session, "register.html", error, refused, **typed)
    return page(request, "letter_sent.html", email=data.email, purpose="confirm")


@get("/confirm", roles=(ANYONE,))
async def confirm_form(request: AnyRequest, token: Token = "") -> Page:
    """Where the letter leads. Opening it changes nothing: programs that look into mail open links, too."""
    return page(request, "confirm.html", token=token, refused="")


@post("/confirm", roles=(ANYONE,), limit="sign-in", request_max_body_size=MAX_FORM_BYTES)
async def confirm(
    data: URLEncodedBody[Chosen], request: AnyRequest, platform: given.Platform, session: given.Session
) -> Response[Any]:
    """Confirm the address with the password, and sign in."""
    try:
        user = await auth.confirm(session, platform, data.token, data.password)
    except QurbaniError as error:
        return again(request, session, "confirm.html", error, (*SIGN_IN_REFUSED, "bad_link"), token=data.token)
    return await _signed_in(request, platform, session, user, "/home")


@get("/forgotten", roles=(ANYONE,))
async def forgotten_form(request: AnyRequest) -> Page:
    """The form of somebody who has forgotten their password."""
    return page(request, "forgotten.html", refused="")


@post("/forgotten", roles=(ANYONE,), limit="sign-in", request_max_body_size=MAX_FORM_BYTES, even=True)
async def forgotten(
    data: URLEncodedBody[Forgotten], request: AnyRequest, platform: given.Platform, session: given.Session
) -> Page:
    """Have a letter sent. What is shown is the same for an address without an account."""
    try:
        await auth.forgotten(session, platform, data.email)
    except QurbaniError as error:
        return again(request, session, "forgotten.html", error, ("too_many_requests",))
    return page(request, "letter_sent.html", email=data.email, purpose="reset")


@get("/reset", roles=(ANYONE,))
async def reset_form(request: AnyRequest, token: Token = "") -> Page:
    """Where the letter leads."""
    return page(request, "reset.html", token=token, refused="")


@post("/reset", roles=(ANYONE,), limit="sign-in", request_max_body_size=MAX_FORM_BYTES)
async def reset(
    data: URLEncodedBody[Chosen], request: AnyRequest, platform: given.Platform, session: given.Session
) -> Response[Any]:
    """Choose another password, and go and sign in with it."""
    try:
        await auth.reset(session, platform, data.token, data.password)
    except QurbaniError as error:
        return again(request, session, "reset.html", error, CHOICE_REFUSED, token=data.token)
    return Redirect("/sign-in", status_code=303)


@get("/second-factor", roles=ROLES, waiting=True)
async def second_factor_form(request: AnyRequest, session: given.Session, who: given.Who, to: To = "/home") -> Page:
    """The form for a code; where there is no app yet, the way to one."""
    return await _second_factor(request, session, who, local(to))


@post("/second-factor/begin", roles=ROLES, waiting=True, request_max_body_size=MAX_FORM_BYTES)
async def second_factor_begin(session: given.Session, who: given.Who) -> Redirect:
    """Show the secret for an app."""
    await auth.begin_second_factor(session, who)
    return Redirect("/second-factor", status_code=303)


@post("/second-factor", roles=ROLES, waiting=True, limit="sign-in", request_max_body_size=MAX_FORM_BYTES)
async def second_factor(
    data: URLEncodedBody[Code], request: AnyRequest, platform: given.Platform, session: given.Session, who: given.Who
) -> Response[Any]:
    """Show one's second factor, and go to the page that was asked for."""
    try:
        recovery_codes = await auth.prove(session, platform, who, data.code.strip())
    except QurbaniError as error:
        return await _second_factor(request, session, who, local(data.to), error)
    if recovery_codes:
        return page(request, "recovery_codes.html", codes=recovery_codes, to=local(data.to))
    return Redirect(local(data.to), status_code=303)


async def _second_factor(
    request: AnyRequest, session: AsyncSession, who: given.Who, to: str, error: QurbaniError | None = None
) -> Page:
    is_there, app = await auth.second_factor(session, who)
    facts = {"is_there": is_there, "app": app, "picture": codes.picture_url(app.uri) if app else "", "to": to}
    if error:
        return again(request, session, "second_factor.html", error, ("wrong_code", "too_many_requests"), **facts)
    return page(request, "second_factor.html", refused="", **facts)


@get("/account", roles=ROLES)
async def account(request: AnyRequest, session: given.Session, who: given.Who, now: given.Now) -> Page:
    """Where one is signed in, and the form for another password."""
    return page(request, "account.html", sessions=await auth.sessions(session, who, now), now=now, refused="")


@post("/account/password", roles=ROLES, limit="sign-in", request_max_body_size=MAX_FORM_BYTES)
async def change_password(
    data: URLEncodedBody[ChangePassword], request: AnyRequest, platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Response[Any]:
    """Another password; every other browser is signed out."""
    try:
        await auth.change_password(session, platform, who, data.old, data.new)
    except QurbaniError as error:
        refused = (*SIGN_IN_REFUSED, "weak_password")
        found = await auth.sessions(session, who, now)
        return again(request, session, "account.html", error, refused, sessions=found, now=now)
    return Redirect("/account", status_code=303)


@post("/account/sessions/{session_id:uuid}/end", roles=ROLES, request_max_body_size=MAX_FORM_BYTES)
async def end_one(
    session_id: FromPath[UUID], session: given.Session, who: given.Who, now: given.Now
) -> Redirect:
    """Sign out one browser or program."""
    await auth.end_one(session, who, session_id, now)
    return Redirect("/account", status_code=303)


@post("/account/sign-out-everywhere", roles=ROLES, request_max_body_size=MAX_FORM_BYTES)
async def end_all(platform: given.Platform, session: given.Session, who: given.Who, now: given.Now) -> Redirect:
    """Sign out everywhere, here too."""
    await auth.end_all(session, who.id, now)
    return Redirect("/", status_code=303, cookies=[auth.cookie(platform, "")], headers=auth.CLEAR)


async def _signed_in(
    request: AnyRequest, platform: Platform, session: AsyncSession, user: auth.User, to: str
) -> Redirect:
    """Begin a session in this browser, and go on to ``to``."""
    token = await auth.open_page(session, user, platform, request.headers.get("user-agent", ""))
    return Redirect(to, status_code=303, cookies=auth.cookies(platform, user, token))


HANDLERS = [
    sign_in_form, sign_in, sign_out, register_form, register, confirm_form, confirm, forgotten_form, forgotten,
    reset_form, reset, second_factor_form, second_factor_begin, second_factor, account, change_password, end_one,
    end_all,
]
