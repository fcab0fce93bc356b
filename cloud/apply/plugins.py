"""Sealed blobs from boxes: the tus server, which lives as long as the application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router
from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from cloud.platform.access import NODE
from cloud.platform.core import Platform
from cloud.platform.forever import forever
from cloud.storage.service import open_store
from cloud.uploads import service as uploads
from shared.tus.folder import PlainFileStore
from shared.tus.routes import tus_routes
from shared.tus.server import Arrived, UploadServer
from sync.messages import BLOBS

SWEEP_S = 3600.0


class Blobs(InitPlugin):
    """Takes sealed blobs as they come. Their name is their hash, so it is checked by what it is."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._store = open_store(platform.settings)
        incoming = PlainFileStore(platform.settings.data_path / "incoming")
        self._server = UploadServer(incoming, self._arrived, platform.clock, platform.new_id)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        blobs = tus_routes(self._server, path=BLOBS, principal=_node)
        app_config.route_handlers.append(Router("/", route_handlers=[blobs], opt={"roles": (NODE,)}))
        app_config.lifespan.append(self._running)
        return app_config

    @asynccontextmanager
    async def _running(self, app: Litestar) -> AsyncIterator[None]:
        await self._server.recover()
        sweeping = asyncio.create_task(forever("blobs.sweep", self._sweep))
        try:
            yield
        finally:
            sweeping.cancel()
            self._server.close()

    async def _sweep(self) -> None:
        while True:
            await self._server.sweep()
            await asyncio.sleep(SWEEP_S)

    async def _arrived(self, arrived: Arrived) -> None:
        """Store the bytes, then tell; a crash between makes this run again."""
        blob_id = arrived.blob.blob_id
        if arrived.path.exists():
            await asyncio.to_thread(self._store.put, blob_id, arrived.path)
        async with self._platform.database.begin() as session:
            await uploads.blob_arrived(session, blob_id, self._platform.clock.now())


def _node(request: Request[Any, Any, Any]) -> str:
    return str(request.user.id)


PLUGINS = [Blobs]
