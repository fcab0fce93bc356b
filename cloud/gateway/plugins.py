"""What the gateway adds to the whole application: the tail of the log, for as long as it lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Litestar, Request
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.plugins import InitPlugin

from cloud.gateway.tail import Tail
from cloud.platform.core import Platform
from cloud.platform.forever import forever


class Live(InitPlugin):
    """Notes with each request, before anything is read for it, what its page will have seen: ``scope["live"]``."""

    def __init__(self, platform: Platform) -> None:
        self._tail = Tail(platform.redis)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.lifespan.append(self._living)
        app_config.dependencies["tail"] = Provide(lambda: self._tail, sync_to_thread=False)
        app_config.before_request = self._note
        return app_config

    def _note(self, request: Request[Any, Any, Any]) -> None:
        request.scope["live"] = self._tail.head  # type: ignore[typeddict-unknown-key]

    @asynccontextmanager
    async def _living(self, app: Litestar) -> AsyncIterator[None]:
        following = asyncio.create_task(forever("live", self._tail.live))
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


PLUGINS = [Live]
