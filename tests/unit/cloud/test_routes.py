"""Every route says who may call it."""

from __future__ import annotations

from litestar import Litestar, get
from litestar.routes import WebSocketRoute
from litestar.testing import TestClient

from cloud.platform.access import ANYONE, NODE, PROGRAMS, ROLES, permitted
from shared.problems import PROBLEM_HANDLERS


def test_every_route_declares_known_roles(application: Litestar) -> None:
    handlers = [
        (route.path, handler) for route in application.routes
        for handler in ([route.route_handler] if isinstance(route, WebSocketRoute) else route.route_handlers)  # type: ignore[union-attr]
    ]  # fmt: skip
    assert len(handlers) > 30
    assert [
        path for path, handler in handlers
        # OPTIONS tells which methods there are and nothing else.
        if getattr(handler, "http_methods", None) != {"OPTIONS"}
        and not (set(handler.opt.get("roles", ())) and set(handler.opt["roles"]) <= {ANYONE, NODE, *ROLES, *PROGRAMS})
    ] == []


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
