"""Sealed blobs from boxes: the tus server, which lives as long as the application."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from litestar import Litestar, Request, Router
from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from cloud.apply.admission import Door
from cloud.apply.receipts import give_receipt
from cloud.executors import service as executors
from cloud.platform.access import NODE
from cloud.platform.core import Platform
from cloud.platform.forever import forever
from cloud.storage.service import holds, open_store
from cloud.uploads import service as uploads
from shared.tus.folder import PlainFileStore
from shared.tus.routes import tus_routes
from shared.tus.server import Arrived, Limits, UploadServer
from shared.tus.store import Upload
from sync.messages import BLOBS

SWEEP_S = 3600.0


class Blobs(InitPlugin):
    """Takes sealed blobs as they come. Their name is their hash, so it is checked by what it is."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._store = open_store(platform.settings)
        incoming = PlainFileStore(platform.settings.data_path / "incoming")
        self._server = UploadServer(
            incoming, self._arrived, platform.clock, platform.new_id, admit=self._admit, elsewhere=self._is_here,
            revisited=self._again, limits=Limits(open_uploads=_open_uploads()))

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        database = self._platform.database

        async def trusted(request: Request[Any, Any, Any]) -> None:
            """A box that is shut out is so at once, whatever its token says. Raises ``revoked``."""
            if request.user is not None:
                async with database.begin() as session:
                    await executors.trusted(session, request.user.id)

        blobs = tus_routes(self._server, path=BLOBS, principal=_node)
        app_config.route_handlers.append(
            Router("/", route_handlers=[blobs], opt={"roles": (NODE,)}, before_request=trusted)
        )
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

    async def _admit(self, upload: Upload, received: int) -> None:
        async with self._platform.database.begin() as session:
            box = await executors.node(session, UUID(upload.owner))
            await uploads.admit(session, box.site_id, upload.length or 0, self._platform.settings)

    async def _is_here(self, upload: Upload) -> bool:
        """No byte is asked for twice, whichever way it came and whatever the database has forgotten since."""
        return await asyncio.to_thread(holds, self._platform.settings, upload.metadata["sha256"])

    async def _again(self, arrived: Arrived) -> bool:
        """A box asks for a blob's receipt that it has not got, or not any more: this hub was put back."""
        if not await asyncio.to_thread(holds, self._platform.settings, arrived.blob.blob_id):
            return False
        await self._arrived(arrived)
        return True

    async def _arrived(self, arrived: Arrived) -> None:
        """Store the bytes, then tell and give the receipt; a crash between makes this run again."""
        blob = arrived.blob
        if arrived.path.exists():
            await asyncio.to_thread(self._store.put, blob.blob_id, arrived.path)
        async with self._platform.database.begin() as session:
            now = self._platform.clock.now()
            box = await executors.node(session, UUID(arrived.owner))
            await uploads.blob_arrived(session, blob.blob_id, box.site_id, blob.blob_size, now)
            await give_receipt(session, self._platform.keys, box.site_id, blob.blob_id, blob.blob_size, now)


def _open_uploads() -> int:
    """One for each of a thousand boxes: it is a file and a hash here, and to open one again means to read it all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1000 if hard == resource.RLIM_INFINITY else min(1000, hard // 4)


def _node(request: Request[Any, Any, Any]) -> str:
    return str(request.user.id)


PLUGINS = [Blobs, Door]
