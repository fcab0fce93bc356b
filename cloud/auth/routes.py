"""Signing in and out, for programs; the pages do it with a cookie."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import delete, get, post
from litestar.params import FromPath, HeaderParameter, JSONBody

from cloud.auth import service
from cloud.auth.schemas import ChangePassword, Confirm, Forgotten, Me, Refresh, Reset, Session, SignIn, Tokens
from cloud.platform import given
from cloud.platform.access import ANYONE, ROLES

Agent = Annotated[str, HeaderParameter(name="user-agent")]


@post("/api/v1/auth/sign-in", status_code=200, roles=(ANYONE,), limit="sign-in")
async def sign_in(
    data: JSONBody[SignIn], platform: given.Platform, session: given.Session, agent: Agent = ""
) -> Tokens:
    """A bearer token and a refresh token for an address and a password."""
    user = await service.check_password(session, platform, data.email, data.password)
    return await service.open_api(session, user, platform, agent)


@post("/api/v1/auth/confirm", status_code=200, roles=(ANYONE,), limit="sign-in")
async def confirm(
    data: JSONBody[Confirm], platform: given.Platform, session: given.Session, agent: Agent = ""
) -> Tokens:
    """Confirm one's address with the link in the letter and the password, and sign in."""
    user = await service.confirm(session, platform, data.token, data.password)
    return await service.open_api(session, user, platform, agent)


@post("/api/v1/auth/forgotten", status_code=202, roles=(ANYONE,), limit="sign-in")
async def forgotten(data: JSONBody[Forgotten], platform: given.Platform, session: given.Session) -> None:
    """Have a letter sent that lets one choose another password. The answer is the same without an account."""
    await service.forgotten(session, platform, data.email)


@post("/api/v1/auth/reset", status_code=204, roles=(ANYONE,), limit="sign-in")
async def reset(data: JSONBody[Reset], platform: given.Platform, session: given.Session) -> None:
    """Another password with the link in the letter; signs out everywhere."""
    await service.reset(session, platform, data.token, data.password)


@post("/api/v1/auth/password", status_code=204, roles=ROLES, limit="sign-in")
async def change_password(
    data: JSONBody[ChangePassword], platform: given.Platform, session: given.Session, who: given.Who
) -> None:
    """Another password; signs out everywhere else."""
    await service.change_password(session, platform, who, data.old, data.new)


@post("/api/v1/auth/refresh", status_code=200, roles=(ANYONE,))
async def refresh(data: JSONBody[Refresh], platform: given.Platform) -> Tokens:
    """The next pair of tokens. Each refresh token works once; the second time it ends the session."""
    return await service.refresh(platform, data.refresh_token)


@post("/api/v1/auth/sign-out", status_code=204, roles=(ANYONE,))
async def sign_out(data: JSONBody[Refresh], session: given.Session, now: given.Now) -> None:
    """End the session of a refresh token, and with it every access token that came of it."""
    await service.end_session(session, data.refresh_token, now)


@get("/api/v1/auth/me", roles=ROLES)
async def me(who: given.Who) -> Me:
    """Who is asking."""
    return Me(who.id, who.role, who.name, who.language)


@get("/api/v1/auth/sessions", roles=ROLES)
async def sessions(session: given.Session, who: given.Who, now: given.Now) -> list[Session]:
    """Where one is signed in, the one last used first."""
    return await service.sessions(session, who, now)


@delete("/api/v1/auth/sessions", roles=ROLES)
async def sign_out_everywhere(session: given.Session, who: given.Who, now: given.Now) -> None:
    """End all one's sessions, this one included."""
    await service.end_all(session, who.id, now)


@delete("/api/v1/auth/sessions/{session_id:uuid}", roles=ROLES)
async def sign_out_one(session_id: FromPath[UUID], session: given.Session, who: given.Who, now: given.Now) -> None:
    """End one of one's sessions."""
    await service.end_one(session, who, session_id, now)


ROUTES = [
    sign_in, confirm, forgotten, reset, change_password, refresh, sign_out, me, sessions, sign_out_everywhere,
    sign_out_one,
]
