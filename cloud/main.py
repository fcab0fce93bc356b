"""The hub, wired: which services there are, and the programs that run them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from typing import Any

import uvicorn
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.router import Router
from litestar.types import ASGIApp
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth.gate import Gate
from cloud.platform import health
from cloud.platform.access import ANYONE, Principal, permitted
from cloud.platform.consumer import Consumer, Handler, by_group
from cloud.platform.core import Platform, opened
from cloud.platform.forever import forever
from cloud.platform.jobs import Job
from cloud.platform.outbox import Relay
from cloud.platform.settings import Settings
from cloud.platform.worker import Worker
from shared.headers import SecurityHeaders
from shared.problems import PROBLEM_HANDLERS

SERVICES = ("auth", "donors", "executors", "uploads", "processing", "notifications", "apply", "pages")
"""Every service, the lower ones first. Each may have ``routes.ROUTES``, ``events.HANDLERS`` and ``jobs.JOBS``."""

GRACE_S = 5
"""How long a request under way may take to end when the server is asked to stop; uploads resume elsewhere."""


def offered(services: Iterable[str], module: str, name: str) -> list[Any]:
    """``cloud.SERVICE.MODULE.NAME`` of every service that has such a module."""
    paths = [f"cloud.{service}.{module}" for service in services if find_spec(f"cloud.{service}")]
    return [getattr(import_module(path), name) for path in paths if find_spec(path)]


def handlers(services: Iterable[str] = SERVICES) -> list[Handler]:
    return list(chain.from_iterable(offered(services, "events", "HANDLERS")))


def jobs(services: Iterable[str] = SERVICES) -> list[Job]:
    return list(chain.from_iterable(offered(services, "jobs", "JOBS")))


def web(platform: Platform, services: Sequence[str] = SERVICES) -> ASGIApp:
    """The web application with the routes of ``services``, given what :mod:`cloud.platform.given` names."""

    async def session() -> AsyncIterator[AsyncSession]:
        async with platform.database.begin() as begun:
            yield begun

    def who(request: Request[Principal, Any, Any]) -> Principal:
        return request.user

    given = {"platform": lambda: platform, "now": platform.clock.now, "who": who}
    app = Litestar(
        route_handlers=[health.live, health.ready, health.backlog, *chain(*offered(services, "routes", "ROUTES"))],
        dependencies={name: Provide(give, sync_to_thread=False) for name, give in given.items()}
        | {"session": Provide(session)},
        middleware=[Gate],
        guards=[permitted],
        state=State({"platform": platform}),
        exception_handlers=PROBLEM_HANDLERS,
        openapi_config=OpenAPIConfig(
            title="Qurbani",
            version="1",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            openapi_router=Router(path="/api-docs", route_handlers=[], opt={"roles": (ANYONE,)}),
        ),
        logging_config=None,
    )
    return SecurityHeaders(app)


async def serve(settings: Settings, services: Sequence[str] = SERVICES) -> None:
    """Answer HTTP until asked to stop. The relay runs beside it, so that events leave where they are made."""
    async with opened(settings) as platform:
        server = uvicorn.Server(uvicorn.Config(
            web(platform, services),
            host=settings.host,
            port=settings.port,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        ))  # fmt: skip
        relay = asyncio.create_task(forever("relay", Relay(platform.database, settings, platform.clock).live))
        await server.serve()
        relay.cancel()


async def consume(settings: Settings, services: Sequence[str] = SERVICES) -> None:
    """Take events until cancelled: one consumer for each group of these services."""
    async with opened(settings) as platform, asyncio.TaskGroup() as tasks:
        for group, topics in by_group(handlers(services)).items():
            tasks.create_task(forever(group, Consumer(group, topics, platform.database, settings).live))


async def work(settings: Settings, services: Sequence[str] = SERVICES) -> None:
    """Run jobs until cancelled."""
    async with opened(settings) as platform:
        await Worker(jobs(services), platform).run()
