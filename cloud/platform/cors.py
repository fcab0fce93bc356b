"""Which pages of other sites may ask the API from a browser (CORS): those that are named, with a bearer token.

An origin is allowed as a whole or not at all; none is by default. Cookies are never taken from other sites
(:mod:`shared.origin`), so ``Access-Control-Allow-Credentials`` is never said.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import QurbaniError

PATHS = "/api/"
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS = b"authorization, content-type, idempotency-key, if-match, if-none-match, traceparent"
SHOWN = b"etag, link, location, retry-after, idempotency-replayed"
MAX_AGE_S = b"600"


@cache
def origins(setting: str) -> frozenset[str]:
    """The origins that a setting names, by commas. Raises ``misconfigured`` for what is none, such as ``*``."""
    found = frozenset(filter(None, (each.strip() for each in setting.split(","))))
    for each in found:
        at = urlsplit(each)
        if at.scheme not in ("https", "http") or not at.netloc or f"{at.scheme}://{at.netloc}" != each:
            raise QurbaniError("misconfigured", f"QURBANI_CORS_ORIGINS: {each} is no origin, as https://example.org is")
    return found


class Cors:
    """Around the application: answers preflights of allowed origins, and says in each answer who may read it."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self.app = app
        self._allowed = {origin.encode() for origin in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not self._allowed or not scope["path"].startswith(PATHS):
            await self.app(scope, receive, send)
            return
        told = dict(scope["headers"])
        origin = told.get(b"origin", b"")
        more = [(b"vary", b"Origin")]
        if origin in self._allowed:
            more += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", SHOWN)]
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in told:
                allowed = [(b"access-control-allow-methods", METHODS), (b"access-control-allow-headers", HEADERS),
                           (b"access-control-max-age", MAX_AGE_S)]  # fmt: skip
                await send({"type": "http.response.start", "status": 204, "headers": [*more, *allowed]})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return

        async def shown(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        await self.app(scope, receive, shown)
