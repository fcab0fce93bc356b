"""Who is asking: a bearer token (programs) or the cookie of a page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from edge.auth import Auth, Executor
from shared.errors import QurbaniError
from shared.origin import refuse_foreign

Connection = ASGIConnection[Any, Any, Any, Any]


def signed_in(request: Connection, auth: Auth) -> Executor:
    """Raises ``not_signed_in``, or ``forbidden`` for a page of another site that uses our cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return auth.executor(token)
    cookie = request.cookies.get(cookie_name(request))
    if not cookie:
        raise QurbaniError("not_signed_in")
    if request.scope["type"] == "http":
        refuse_foreign(request.scope["method"], request.headers, signed_in=True)
    return auth.executor(cookie)


def session_cookie(request: Connection, token: str, life: timedelta) -> Cookie:
    """The cookie of a page; an empty ``token`` takes it away."""
    return Cookie(
        key=cookie_name(request), value=token, max_age=int(life.total_seconds()) if token else 0,
        path="/", httponly=True, secure=is_secure(request), samesite="strict",
    )  # fmt: skip


def cookie_name(request: Connection) -> str:
    """Behind TLS the prefix keeps other hosts and plain HTTP from planting one (RFC 6265bis, section 4.1.3.2)."""
    return "__Host-session" if is_secure(request) else "session"


def is_secure(request: Connection) -> bool:
    return request.scope["scheme"] in ("https", "wss")
