"""What a tablet asks of the box, over HTTP on the site's own network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import msgspec
from litestar import Litestar, Request, get, post
from litestar.di import Provide
from litestar.types import ASGIApp

from edge.auth import Auth, Executor
from edge.bus import OP, Bell
from edge.capture import Capture
from edge.site import AnimalView, SacrificeView, Site
from edge.status import Status
from shared.errors import QurbaniError
from shared.headers import SecurityHeaders
from shared.problems import PROBLEM_HANDLERS
from shared.tus.routes import tus_routes
from shared.tus.server import UploadServer

SWEEP_S = 3600.0
"""How often expired uploads are cleared away."""

AnyRequest = Request[Any, Any, Any]


class SignIn(msgspec.Struct, frozen=True):
    executor_id: UUID
    pin: str


class Session(msgspec.Struct, frozen=True):
    """Send ``token`` with every request: ``Authorization: Bearer TOKEN``."""

    token: str
    executor: Executor


class OpenSacrifice(msgspec.Struct, frozen=True):
    """``id`` is made by the tablet, so that it may ask again when it did not hear the answer."""

    id: UUID
    animal_id: UUID


class Alive(msgspec.Struct, frozen=True):
    status: str = "ok"


def signed_in(request: AnyRequest, auth: Auth) -> Executor:
    """Who asks. Raises ``not_signed_in``."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise QurbaniError("not_signed_in")
    return auth.executor(token)


@get("/health/live", sync_to_thread=False)
def live() -> Alive:
    return Alive()


@get("/api/v1/status", sync_to_thread=True)
def status(read_status: Callable[[], Status]) -> Status:
    """How the box is doing; nothing personal, so that anybody on the site may look."""
    return read_status()


@get("/api/v1/executors", sync_to_thread=True)
def executors(site: Site) -> list[Executor]:
    """The names on the sign-in screen."""
    return site.executors()


@post("/api/v1/session", sync_to_thread=True)
def sign_in(data: SignIn, auth: Auth) -> Session:
    return Session(*auth.sign_in(data.executor_id, data.pin))


@get("/api/v1/animals", sync_to_thread=True)
def animals(executor: Executor, site: Site) -> list[AnimalView]:
    return site.animals()


@post("/api/v1/sacrifices", sync_to_thread=True)
def open_sacrifice(
    data: OpenSacrifice, executor: Executor, capture: Capture, site: Site, bell: Bell
) -> SacrificeView:
    capture.open_sacrifice(data.id, data.animal_id, executor.id)
    bell.ring(OP)
    return site.sacrifice(data.id, executor.language or "")


@get("/api/v1/sacrifices/{sacrifice_id:uuid}", sync_to_thread=True)
def sacrifice(sacrifice_id: UUID, executor: Executor, site: Site) -> SacrificeView:
    """Its state, and each video with its verdict and what to do again."""
    return site.sacrifice(sacrifice_id, executor.language or "")


def make_app(
    auth: Auth, site: Site, capture: Capture, uploads: UploadServer, bell: Bell, read_status: Callable[[], Status]
) -> ASGIApp:
    """The whole application, with security headers around every answer."""

    def principal(request: AnyRequest) -> str:
        return str(signed_in(request, auth).id)

    @asynccontextmanager
    async def receiving(app: Litestar) -> AsyncIterator[None]:
        await uploads.recover()
        sweeping = asyncio.create_task(_sweep(uploads))
        yield
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        uploads.close()

    parts = {"auth": auth, "site": site, "capture": capture, "bell": bell, "read_status": read_status}
    given = {name: _given(part) for name, part in parts.items()}
    return SecurityHeaders(Litestar(
        [
            live, status, executors, sign_in, animals, open_sacrifice, sacrifice,
            tus_routes(uploads, path="/api/v1/uploads", principal=principal),
        ],
        dependencies={**given, "executor": Provide(signed_in, sync_to_thread=True)},
        exception_handlers=PROBLEM_HANDLERS,
        lifespan=[receiving],
        openapi_config=None,
        logging_config=None,
    ))  # fmt: skip


def _given(part: object) -> Provide:
    return Provide(lambda: part, sync_to_thread=False)


async def _sweep(uploads: UploadServer) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        await uploads.sweep()
