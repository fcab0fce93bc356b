"""Signing in and out, for programs; the pages do it with a cookie."""

from __future__ import annotations

from litestar import get, post
from litestar.params import JSONBody

from cloud.auth import service
from cloud.auth.schemas import Me, Refresh, SignIn, Tokens
from cloud.auth.tokens import LIFE_S
from cloud.platform import given
from cloud.platform.access import ANYONE, ROLES


@post("/api/v1/auth/sign-in", status_code=200, roles=(ANYONE,), limit="sign-in")
async def sign_in(data: JSONBody[SignIn], platform: given.Platform, session: given.Session) -> Tokens:
    """A bearer token and a refresh token for an address and a password."""
    user = await service.check_password(session, platform, data.email, data.password)
    token = await service.open_session(session, user, "api", platform)
    return Tokens(service.access_token(platform, service.principal(user)), token, LIFE_S)


@post("/api/v1/auth/refresh", status_code=200, roles=(ANYONE,))
async def refresh(data: JSONBody[Refresh], platform: given.Platform) -> Tokens:
    """The next pair of tokens. Each refresh token works once; the second time it ends the session."""
    who, token = await service.refresh(platform, data.refresh_token)
    return Tokens(service.access_token(platform, who), token, LIFE_S)


@post("/api/v1/auth/sign-out", status_code=204, roles=(ANYONE,))
async def sign_out(data: JSONBody[Refresh], session: given.Session, now: given.Now) -> None:
    """End the session of a refresh token. Access tokens already given out live on for at most ten minutes."""
    await service.end_session(session, data.refresh_token, now)


@get("/api/v1/auth/me", roles=ROLES)
async def me(who: given.Who) -> Me:
    return Me(who.id, who.role, who.name, who.language)


ROUTES = [sign_in, refresh, sign_out, me]
