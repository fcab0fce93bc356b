"""Security headers on every response, errors and files included: one ASGI middleware around the whole app.

The set is helmet's (8.x) with the stricter values that OWASP ASVS 5.0 (3.4) asks for. Start uvicorn with
``server_header=False``: what the server itself adds comes after this.
"""

from __future__ import annotations

import secrets
from collections.abc import Container

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

PAGES_CSP = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; "
    "script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'"
)
"""For pages: everything from here, inline script and style only with the nonce ``request.state.csp_nonce``."""

API_CSP = "default-src 'none'; frame-ancestors 'none'"
"""For what is not a page: it may load nothing, should a browser ever show it."""

_ALWAYS_TLS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

_FIXED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-DNS-Prefetch-Control": "off",
    "X-Download-Options": "noopen",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-XSS-Protection": "0",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(self), payment=(), usb=(), "
                          "display-capture=(), serial=()",
    # Most answers hold personal data; whoever serves what may be kept (assets, video) says so himself.
    "Cache-Control": "no-store",
}

_CSP = "Content-Security-Policy"
_RAW_CSP = _CSP.lower().encode()

# A service worker is governed by the policy of its own script.
_UNDER_PAGES_CSP = ("text/html", "text/javascript", "application/javascript")


def bare(*, hsts: bool = True) -> list[tuple[bytes, bytes]]:
    """The set for an answer that no application has made."""
    fixed = {**(_ALWAYS_TLS if hsts else {}), **_FIXED}
    return [(name.lower().encode(), value.encode()) for name, value in {**fixed, _CSP: API_CSP}.items()]


class SecurityHeaders:
    """Wraps an ASGI app. A header that the app has set itself is left as it is.

    ``lean`` are media types that programs exchange over lines where every byte counts, and that no browser is shown:
    they answer only a POST with a bearer token and a signature, which no page can send. They get none of this, as only
    a browser would read it. ``hsts`` is for hosts that speak plain HTTP at no port, as browsers then insist on.
    """

    def __init__(self, app: ASGIApp, *, pages_csp: str = PAGES_CSP, api_csp: str = API_CSP,
                 lean: Container[str] = (), hsts: bool = True) -> None:
        self.app = app
        self.fixed = [pair for pair in bare(hsts=hsts) if pair[0] != _RAW_CSP]
        self.pages_csp = pages_csp
        self.api_csp = api_csp.encode()
        self.lean = lean

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["csp_nonce"] = nonce

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = {name.lower(): value for name, value in message.get("headers", ())}
                more = self._of(told.get(b"content-type", b"").decode("latin-1"), nonce)
                message["headers"] = [*message.get("headers", ()), *(pair for pair in more if pair[0] not in told)]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _of(self, content_type: str, nonce: str) -> list[tuple[bytes, bytes]]:
        if content_type in self.lean:
            return []
        is_page = content_type.startswith(_UNDER_PAGES_CSP)
        csp = self.pages_csp.replace("{nonce}", nonce).encode() if is_page else self.api_csp
        return [(_RAW_CSP, csp), *self.fixed]
