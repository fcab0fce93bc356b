"""Forms are only taken from pages that we gave to the same session: signed double submit (OWASP, "CSRF Prevention").

Each page carries a token, random and signed together with the session (HMAC-SHA256), in a cookie and in every form, and
what changes something has to bring both. A page of another site can read neither; one that plants a cookie cannot sign
it; one that has a token of its own has it for another session. Browsers' own word about where a request comes from
(:mod:`shared.origin`) is asked beside it.

Asked of whoever comes with a session's cookie, and of every route that says ``form=True``, also before there is a
session. Programs with a bearer token have no cookie that a foreign page could use.
"""

from __future__ import annotations

import hashlib
import secrets
from hmac import compare_digest, digest
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from cloud.platform.access import Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError
from shared.origin import SAFE

FIELD, HEADER = "csrf", "x-csrf-token"

AnyConnection = ASGIConnection[Any, Any, Any, Any]


def token(connection: AnyConnection) -> str:
    """What the forms of this page carry: the browser's token, or a new one where it has none of this session."""
    platform: Platform = connection.app.state.platform
    held = connection.cookies.get(cookie_name(platform), "")
    if _is_of_session(platform, held, connection):
        return held
    random = secrets.token_urlsafe(16)
    return f"{random}.{_mac(platform, random, connection)}"


def cookie(platform: Platform, value: str) -> Cookie:
    """The other half; it lasts as long as the browser is open."""
    return Cookie(
        key=cookie_name(platform), value=value, path="/", httponly=True, secure=platform.settings.https, samesite="lax"
    )


def cookie_name(platform: Platform) -> str:
    return "__Host-csrf" if platform.settings.https else "csrf"


async def from_our_page(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """The guard of the whole application. Raises ``stale_form``."""
    if connection.scope.get("method", "GET") in SAFE or connection.auth == "bearer":
        return
    if not (handler.opt.get("form") or connection.auth == "cookie"):
        return
    platform: Platform = connection.app.state.platform
    held = connection.cookies.get(cookie_name(platform), "")
    if not (_is_of_session(platform, held, connection) and compare_digest(await _brought(connection), held.encode())):
        raise QurbaniError("stale_form")


async def _brought(connection: AnyConnection) -> bytes:
    if HEADER in connection.headers:
        return connection.headers[HEADER].encode()
    form = await cast(Request[Any, Any, Any], connection).form()
    return str(form.get(FIELD, "")).encode()


def _is_of_session(platform: Platform, held: str, connection: AnyConnection) -> bool:
    random, _, mac = held.partition(".")
    return compare_digest(mac.encode(), _mac(platform, random, connection).encode())


def _mac(platform: Platform, random: str, connection: AnyConnection) -> str:
    who: Principal | None = connection.scope.get("user")
    session = who.session if who else None
    return digest(platform.keys.derive("csrf/1"), f"{session}/{random}".encode(), hashlib.sha256).hex()
