"""Answers that come no sooner than others: where how long it took would tell whether an address has an account.

A route says ``even=True``. What is done behind it may take longer for one than for the other, as long as it is done
within ``Settings.even_s``.
"""

from __future__ import annotations

import asyncio
import time

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from cloud.platform.core import Platform


class Even:
    """The middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not scope["route_handler"].opt.get("even"):
            await self.app(scope, receive, send)
            return
        platform: Platform = scope["litestar_app"].state.platform
        due = time.monotonic() + platform.settings.even_s

        async def later(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(due - time.monotonic())
            await send(message)

        await self.app(scope, receive, later)
