"""The hub, wired: which services there are, and the programs that run them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import msgspec
import uvicorn
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from uvicorn.supervisors import Multiprocess

from cloud import health
from cloud.admin import service as admin
from cloud.apply import cases, sticks
from cloud.apply import service as ops
from cloud.apply.cases import Quarantined
from cloud.auth import service as auth
from cloud.auth.gate import Gate
from cloud.gateway import mirror
from cloud.pages import reference
from cloud.platform import audit, cors, idempotency, metrics, outbox, paging, rotation
from cloud.platform import jobs as ledger
from cloud.platform.access import Principal, permitted
from cloud.platform.audit_chain import Chain
from cloud.platform.cache import Cache
from cloud.platform.conditional import Conditional
from cloud.platform.consumer import Consumer, Handler, by_group
from cloud.platform.core import Platform, opened
from cloud.platform.cors import Cors
from cloud.platform.csrf import from_our_page
from cloud.platform.even import Even
from cloud.platform.forever import forever
from cloud.platform.jobs import Job
from cloud.platform.limits import limited
from cloud.platform.metrics import Measured
from cloud.platform.outbox import Relay
from cloud.platform.patience import Patient
from cloud.platform.settings import Settings
from cloud.platform.worker import Worker
from cloud.uploads import archive as archives
from cloud.uploads.mover import Mover
from cloud.uploads.schemas import Due
from shared.headers import SecurityHeaders
from shared.problems import PROBLEM_HANDLERS, as_qurbani_error
from shared.trace import Traced
from sync.messages import MEDIA_TYPE

SERVICES = (
    "auth", "gateway", "donors", "executors", "uploads", "processing", "guests", "notifications", "privacy", "admin",
    "apply", "pages",
)  # fmt: skip
"""Every service, the lower ones first.

Each may have ``routes.ROUTES``, ``events.HANDLERS``, ``jobs.JOBS``, and ``plugins.PLUGINS`` (Litestar's, made with
the platform) for what lives as long as the application.
"""

AnyRequest = Request[Any, Any, Any]
Program = Callable[[Platform, Sequence[str]], Awaitable[None]]

MAX_BODY_BYTES = 1 << 20
"""Of what is sent to a route that does not say otherwise."""

ORPHANED_S = 1
HUNG_S = 60
"""After so long a process that does not answer its parent is replaced; one needs seconds to begin."""

GRACE_S = 5
"""How long a request under way may take to end when the server is asked to stop; uploads resume elsewhere."""


def offered(services: Iterable[str], module: str, name: str) -> list[Any]:
    """``cloud.SERVICE.MODULE.NAME`` of every service that has such a module."""
    paths = [f"cloud.{service}.{module}" for service in services if find_spec(f"cloud.{service}")]
    return [getattr(import_module(path), name) for path in paths if find_spec(path)]


def handlers(services: Iterable[str] = SERVICES) -> list[Handler]:
    return list(chain.from_iterable(offered(services, "events", "HANDLERS")))


def groups() -> dict[str, set[str]]:
    """The consumer groups of each topic, of all services."""
    found: dict[str, set[str]] = {}
    for handler in handlers():
        found.setdefault(handler.topic, set()).add(handler.group)
    return found


def jobs(services: Iterable[str] = SERVICES) -> list[Job]:
    return list(chain.from_iterable(offered(services, "jobs", "JOBS")))


def web(platform: Platform, services: Sequence[str] = SERVICES) -> ASGIApp:
    """The web application with the routes of ``services``, given what :mod:`cloud.platform.given` names."""

    # Litestar 3 forgets a generator that it has begun where another dependency of the same batch fails. Asking for one
    # puts these two into a batch after all the others.
    async def session(request: AnyRequest, platform: NamedDependency[Platform]) -> AsyncIterator[AsyncSession]:
        async with idempotency.transaction(request, platform) as begun:
            yield begun
            await audit.conclude(begun, request, platform)

    async def reading(request: AnyRequest, platform: NamedDependency[Platform]) -> AsyncIterator[Platform]:
        yield platform
        await audit.looked(request, platform)

    async def tell(error: Exception, scope: Scope) -> None:
        if scope["type"] == "http":
            await audit.refused(platform.database, platform.clock, Request(scope), as_qurbani_error(error))

    def who(request: AnyRequest) -> Principal:
        return request.user

    pulse = health.Pulse(platform)
    given = {"platform": lambda: platform, "pulse": lambda: pulse, "now": platform.clock.now, "who": who,
             "groups": groups}  # fmt: skip
    app = Litestar(
        route_handlers=[*health.ROUTES, *chain(*offered(services, "routes", "ROUTES"))],
        dependencies={name: Provide(give, sync_to_thread=False) for name, give in given.items()}
        | {"session": Provide(session), "reading": Provide(reading)}
        | {"paging": Provide(paging.paging, sync_to_thread=False)},
        middleware=[Traced, Measured, Even, Conditional, Gate, Cache, idempotency.Once],
        guards=[let_in],
        state=State({"platform": platform}),
        after_exception=[tell],
        before_send=[paging.link],
        exception_handlers=PROBLEM_HANDLERS,
        openapi_config=reference.config(platform.settings),
        plugins=[plugin(platform) for plugin in chain(*offered(services, "plugins", "PLUGINS"))],
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )
    return SecurityHeaders(Cors(app, cors.origins(platform.settings.cors_origins)), lean={MEDIA_TYPE})


async def let_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """What every route is guarded by; one guard, as the framework copies the handler for each."""
    await limited(connection, handler)
    permitted(connection, handler)
    await from_our_page(connection, handler)


def server(platform: Platform, services: Sequence[str] = SERVICES) -> uvicorn.Server:
    """What answers HTTP, not yet started."""
    return uvicorn.Server(config(web(platform, services), platform.settings))


def config(app: Any, settings: Settings, **more: Any) -> uvicorn.Config:
    """How uvicorn answers for us."""
    return uvicorn.Config(
        app,
        http=Patient,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACE_S,
        **more,
    )


async def serve(platform: Platform, services: Sequence[str]) -> None:
    """Answer HTTP until asked to stop."""
    async with beside(platform, services):
        await server(platform, services).serve()


@asynccontextmanager
async def beside(platform: Platform, services: Sequence[str]) -> AsyncIterator[None]:
    """Meanwhile events leave from where they are made, and entries of the audit are linked."""
    tasks = [asyncio.create_task(program(platform, services)) for program in (relay, link)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


class OneOfMany:
    """The web application in one of several processes: its platform is there for as long as its server runs."""

    def __init__(self, settings: Settings, services: Sequence[str]) -> None:
        self._settings, self._services = settings, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # type: ignore[comparison-overlap]
            async with opened(self._settings) as platform, beside(platform, self._services):
                self._app = web(platform, self._services)
                ending = asyncio.create_task(_end_with(os.getppid()))
                await self._app(scope, receive, send)
                ending.cancel()
        else:
            await self._app(scope, receive, send)


async def _end_with(parent: int) -> None:
    """Stop as asked when the parent is there no more: nobody else would ask."""
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(ORPHANED_S)
    signal.raise_signal(signal.SIGTERM)


def cluster(settings: Settings, workers: int, make: Callable[[], ASGIApp]) -> None:
    """Answer HTTP with several processes at one port until SIGTERM; one that dies is replaced. Blocks.

    ``make`` is called in each of them. They count together what ``/metrics`` tells.
    """
    with TemporaryDirectory(prefix="qurbani-metrics-") as folder:
        os.environ[metrics.SHARED] = folder
        many = config(make, settings, factory=True, lifespan="on", workers=workers, timeout_worker_healthcheck=HUNG_S)
        with many.bind_socket() as listening:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as servers have that a loop binds itself
            Multiprocess(many, [listening]).run()


async def relay(platform: Platform, services: Sequence[str]) -> None:
    """Send the events of the outbox; one relay serves all services, and takes over when another dies."""
    await forever("relay", Relay(platform.database, platform.settings, platform.clock, groups()).live)


async def link(platform: Platform, services: Sequence[str]) -> None:
    """Link the entries of the audit; like the relay, one for all services."""
    chain = Chain(platform.database, platform.clock, platform.keys.sign, platform.settings.sweep_s)
    await forever("audit", chain.live)


async def consume(platform: Platform, services: Sequence[str]) -> None:
    """Take events: one consumer for each group of these services."""
    async with asyncio.TaskGroup() as tasks:
        for group, topics in by_group(handlers(services)).items():
            consumer = Consumer(group, topics, platform.database, platform.settings)
            tasks.create_task(forever(group, consumer.live))
        if "gateway" in services:
            tasks.create_task(forever(mirror.GROUP, partial(mirror.live, platform)))


async def work(platform: Platform, services: Sequence[str]) -> None:
    """Run jobs."""
    await Worker(jobs(services), platform).run()


async def run(settings: Settings, programs: Sequence[Program], services: Sequence[str] = SERVICES) -> None:
    """Run programs in this process until SIGTERM, or until one of them ends. kill -9 at any moment is as safe."""
    async with opened(settings) as platform:
        tasks = [asyncio.ensure_future(program(platform, services)) for program in programs]
        if serve not in programs:  # uvicorn has handlers of its own, and lets requests end
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, tasks[0].cancel)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def create_admin(settings: Settings, email: str) -> str:
    """An account for an admin; its password, which is kept nowhere else. Raises ``conflict``."""
    new = auth.NewAccount(name="", email=email, password=auth.new_password(), language="en")
    async with opened(settings) as platform, platform.database.begin() as session:
        await auth.create_user(session, platform, new, "admin")
    return new.password


async def import_bundle(settings: Settings, stick: Path, moved: Callable[[int], None]) -> list[sticks.Taken]:
    """Take in the bundles on a stick; see :func:`cloud.apply.sticks.take`."""
    async with opened(settings) as platform:
        return await sticks.take(platform, stick, moved)


async def quarantine(settings: Settings, node: UUID | None) -> list[Quarantined]:
    """The ops of boxes that could not be applied, with their reasons."""
    async with opened(settings) as platform, platform.database.begin() as session:
        return await cases.quarantine(session, paging.Paging(paging.MOST), node)


async def retry(settings: Settings, which: ops.Redrive) -> int:
    """Try quarantined ops again; how many could be applied."""
    async with opened(settings) as platform, platform.database.begin() as session:
        return await ops.retry_parked(session, platform.clock.now(), which)


async def archive(settings: Settings, now: datetime | None, dry_run: bool) -> list[Due]:
    """The videos that are to go to the archive by ``now``; without ``dry_run`` they are brought there.

    Raises ``misconfigured`` where there is no cold store.
    """
    mover = Mover.open(settings)
    async with opened(settings) as platform:
        moment = now or platform.clock.now()
        async with platform.database.begin() as session:
            leaving = await archives.leaving(session, settings, moment)
        for each in [] if dry_run else leaving:
            await archives.move_out(platform.database, mover, settings, each.video_id, moment)
    return leaving


async def rotate_keys(settings: Settings, moved: Callable[[int, int], None]) -> int:
    """Change the master key of personal data; see :func:`cloud.platform.rotation.rotate`."""
    async with opened(settings) as platform:
        return await rotation.rotate(platform.database, platform.keys.masters, moved)


async def reconcile(settings: Settings, patience: timedelta, tell: Callable[[admin.Break], None]) -> None:
    """Tell of every break, as it is found; see :mod:`cloud.admin.breaks`. Changes nothing."""
    async with opened(settings) as platform, platform.database.begin() as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        async for each in admin.reconcile(session, groups(), platform.clock.now(), patience):
            tell(each)


class Redriven(msgspec.Struct, frozen=True):
    """How much was sent round again: events to their consumers, parked jobs, ops of boxes that apply now."""

    events: int
    jobs: int
    ops: int


async def redrive(settings: Settings) -> Redriven:
    """Take up everything unfinished: dead letters, events that a broker lost, parked jobs, parked ops."""
    async with opened(settings) as platform, platform.database.begin() as session:
        now = platform.clock.now()
        return Redriven(
            events=await outbox.reopen(session, groups()),
            jobs=await ledger.unpark(session, now),
            ops=await ops.retry_parked(session, now),
        )
