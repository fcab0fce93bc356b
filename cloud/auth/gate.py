"""Who is asking, from the request: a bearer token (programs and boxes) or a cookie (pages)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from cloud.auth import service
from cloud.platform.access import Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError

SAFE = {"GET", "HEAD", "OPTIONS"}


class Gate(AbstractAuthenticationMiddleware):
    """Sets ``request.user`` to the :class:`Principal`, or None for a stranger; the routes' roles decide the rest."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        platform: Platform = connection.app.state.platform
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return AuthenticationResult(service.check_token(platform, token), None)
        cookie = connection.cookies.get(service.cookie_name(platform), "")
        _refuse_foreign(connection, signed_in=bool(cookie))
        return AuthenticationResult(await _page_user(platform, cookie) if cookie else None, None)


async def _page_user(platform: Platform, cookie: str) -> Principal | None:
    async with platform.database.begin() as session:
        return await service.page_user(session, cookie, platform.clock.now())


def _refuse_foreign(connection: ASGIConnection[Any, Any, Any, Any], *, signed_in: bool) -> None:
    """Raise ``forbidden`` where a page of another site may have sent this in the name of its visitor.

    Browsers say where a request comes from (Sec-Fetch-Site, before it Origin), and no page can make them lie.
    What says nothing is no browser, and has no business with a cookie.
    """
    if connection.scope["method"] in SAFE:
        return
    site, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    if site:
        ours = site == "same-origin"
    elif origin:
        ours = urlsplit(origin).netloc == connection.headers.get("host")
    else:
        ours = not signed_in
    if not ours:
        raise QurbaniError("forbidden", "the request comes from another site")
