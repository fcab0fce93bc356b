"""What a page remembers of its reader: the language, and where to go on."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from shared.pages.languages import LANGUAGES, accepted, choose

LANGUAGE_COOKIE = "language"
YEAR_S = 365 * 24 * 3600

AnyRequest = Request[Any, Any, Any]


def language_of(request: AnyRequest, account: str | None) -> str:
    """The language that the reader chose, else that of the account, else that of the browser."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return choose([account] if account else accepted(request.headers.get("accept-language", "")))


def language_cookie(language: str, *, secure: bool) -> Cookie:
    """Remembers a choice; what we do not speak becomes what is nearest."""
    return preference(LANGUAGE_COOKIE, choose([language]), secure=secure)


def preference(name: str, value: str, *, secure: bool) -> Cookie:
    """A choice of the reader that is no secret, kept for a year."""
    return Cookie(key=name, value=value, max_age=YEAR_S, path="/", httponly=True, samesite="lax", secure=secure)


def here(to: str, otherwise: str) -> str:
    """A path of this site. Anything else, such as ``//elsewhere``, would send people away with our name on it."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else otherwise
