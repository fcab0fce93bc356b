"""Every route says who may call it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from litestar import Litestar, get
from litestar.testing import TestClient

from cloud import main
from cloud.platform.access import ANYONE, NODE, ROLES, permitted
from cloud.platform.core import opened
from cloud.platform.settings import Settings
from shared.problems import PROBLEM_HANDLERS


def test_every_route_declares_known_roles(tmp_path: Path) -> None:
    async def undeclared() -> list[str]:
        settings = Settings(database_url="postgresql://127.0.0.1:1/x", redis_url="redis://127.0.0.1:1", kafka="-",
                            data=str(tmp_path))
        async with opened(settings) as platform:
            app = main.web(platform)
            while not isinstance(app, Litestar):
                app = app.app  # type: ignore[attr-defined]
            handlers = [(route.path, handler) for route in app.routes for handler in route.route_handlers]  # type: ignore[attr-defined]
            assert len(handlers) > 30
            return [
                path for path, handler in handlers
                # OPTIONS tells which methods there are and nothing else.
                if handler.http_methods != {"OPTIONS"}
                and not (set(handler.opt.get("roles", ())) and set(handler.opt["roles"]) <= {ANYONE, NODE, *ROLES})
            ]

    assert asyncio.run(undeclared()) == []


def test_a_route_that_declares_nothing_is_closed_to_everybody() -> None:
    @get("/forgotten")
    async def forgotten() -> str:
        return "open"

    @get("/closed", roles=())
    async def closed() -> str:
        return "open"

    with TestClient(Litestar([forgotten, closed], guards=[permitted], exception_handlers=PROBLEM_HANDLERS)) as client:
        for path in ("/forgotten", "/closed"):
            assert client.get(path).status_code == 401
