"""Who is asking, from the request: a bearer token (programs and boxes) or a cookie (pages)."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from cloud.auth import service
from cloud.platform import cors
from cloud.platform.access import Principal
from cloud.platform.core import Platform
from shared.clock import to_ms
from shared.crypto import VerifyKey
from shared.origin import refuse_foreign
from sync import tokens


class Gate(AbstractAuthenticationMiddleware):
    """Sets ``request.user`` to the :class:`Principal`, or None for a stranger; the routes' roles decide the rest.

    ``request.auth`` is what the request came with: ``bearer``, ``cookie`` or None.
    """

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        platform: Platform = connection.app.state.platform
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            who = await _bearer(platform, token)
            if who.key:
                _possessed(platform, connection, who, token)
            return AuthenticationResult(who, "bearer")
        cookie = connection.cookies.get(service.cookie_name(platform), "")
        if cookie or connection.headers.get("origin") not in cors.origins(platform.settings.cors_origins):
            # A page of any site may open a WebSocket here, with our cookie, and read what it hears.
            method = "POST" if connection.scope["type"] == ScopeType.WEBSOCKET else connection.scope["method"]
            refuse_foreign(method, connection.headers, signed_in=bool(cookie))
        who = await service.page_user(platform, cookie) if cookie else None
        return AuthenticationResult(who, "cookie" if cookie else None)


async def _bearer(platform: Platform, token: str) -> Principal:
    if service.is_node_token(token):
        return service.check_node_token(platform, token)
    if service.is_key(token):
        return await service.program(platform, token)
    return await service.bearer(platform, token)


def _possessed(platform: Platform, connection: ASGIConnection[Any, Any, Any, Any], who: Principal, token: str) -> None:
    """Return when the sender holds the key that the token is bound to. Raises ``not_signed_in`` or ``clock_skew``."""
    scope = connection.scope
    tokens.check_possession(
        connection.headers.get(tokens.PROOF, ""), VerifyKey(who.key), scope.get("method", "GET"), scope["path"], token,
        now_ms=to_ms(platform.clock.now()),
    )  # fmt: skip
