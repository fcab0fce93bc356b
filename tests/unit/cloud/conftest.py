"""The hub's application, of which only the routes are looked at: it has no servers behind it."""

from __future__ import annotations

import asyncio

import pytest
from litestar import Litestar

from cloud import main
from cloud.platform.core import opened
from cloud.platform.settings import Settings


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    async def built() -> Litestar:
        nowhere = {"database_url": "postgresql://127.0.0.1:1/x", "redis_url": "redis://127.0.0.1:1", "kafka": "-"}
        async with opened(Settings(**nowhere, data=str(tmp_path_factory.mktemp("hub")))) as platform:
            app = main.web(platform)
            while not isinstance(app, Litestar):
                app = app.app  # type: ignore[attr-defined]
            return app

    return asyncio.run(built())
