"""A browser without script, as a client: it keeps cookies, and sends a form with what our pages hide in it."""

from __future__ import annotations

from typing import Any

import httpx

TOKEN = "csrf"  # noqa: S105 - the name of a field and of a cookie


class Browser(httpx.Client):
    """As :class:`httpx.Client`; ``post`` sends a form from a page that was opened just before."""

    def __init__(self, url: str, **headers: str) -> None:
        super().__init__(base_url=url, headers={"sec-fetch-site": "same-origin", **headers}, timeout=30)

    def post(self, url: httpx.URL | str, *, data: Any = None, **more: Any) -> httpx.Response:
        return super().post(url, data={**(data or {}), TOKEN: self.token()}, **more)

    def token(self) -> str:
        """What the forms of this session carry."""
        self.get("/", follow_redirects=False)
        return next((cookie.value or "" for cookie in self.cookies.jar if cookie.name.endswith(TOKEN)), "")
