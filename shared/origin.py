"""Whether a request was made by a page of ours: what keeps other sites from using a visitor's cookie (CSRF).

Browsers say where a request comes from (Sec-Fetch-Site, before it Origin), and no page can make them lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from shared.errors import QurbaniError

SAFE = {"GET", "HEAD", "OPTIONS"}


def is_ours(headers: Mapping[str, str], *, signed_in: bool) -> bool:
    """What says nothing is no browser, and has no business with a cookie."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site:
        return site == "same-origin"
    if origin:
        return urlsplit(origin).netloc == headers.get("host")
    return not signed_in


def refuse_foreign(method: str, headers: Mapping[str, str], *, signed_in: bool) -> None:
    """Raise ``forbidden`` where a page of another site may have sent this in the name of its visitor."""
    if method not in SAFE and not is_ours(headers, signed_in=signed_in):
        raise QurbaniError("forbidden", "the request comes from another site")
