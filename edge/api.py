"""What a tablet asks of the box, over HTTP on the site's own network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from litestar import Litestar, Request, Router, delete, get, post, put
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp

from edge.auth import Auth, Executor, Witness
from edge.bus import CLAIM, OP, Bell
from edge.butchery import Butchery
from edge.cameras import CAMERAS
from edge.capture import Capture
from edge.claims import Claim, Claims
from edge.events import EventLog, Watch, follow
from edge.gate import signed_in
from edge.intake import Entry, Intake
from edge.news import NEWS, Newsstand
from edge.pages import butchery
from edge.pages.routes import ENTRANCE, OUTSIDE, PAGES, missing
from edge.photos import Photos, keep_photo, show_photo
from edge.preflight import Preflights, preflight
from edge.recorder.window import Looker
from edge.recordings import Recordings
from edge.room import Room
from edge.site import AnimalView, SacrificeView, Site
from edge.status import Status
from shared.clock import Clock
from shared.domain.day import Plan
from shared.headers import SecurityHeaders
from shared.pages import assets
from shared.problems import PROBLEM_HANDLERS
from shared.trace import Traced
from shared.tus.routes import tus_routes
from shared.tus.server import UploadServer

SWEEP_S = 3600.0
"""How often expired uploads are cleared away."""

TIDY_S = 20.0
"""How often room is made on the disk."""


_log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]
Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class SignIn(msgspec.Struct, frozen=True):
    """``witness`` is asked for (``people_old``) where the list of people has grown too old."""

    executor_id: UUID
    pin: str
    witness: Witness | None = None


class Session(msgspec.Struct, frozen=True):
    """Send ``token`` with every request: ``Authorization: Bearer TOKEN``."""

    token: str
    executor: Executor


class TakeAnimal(msgspec.Struct, frozen=True):
    """``tablet`` is a name that the tablet has made for itself, once and for all."""

    tablet: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class OpenSacrifice(msgspec.Struct, frozen=True):
    """``id`` is made by the tablet, so that it may ask again when it did not hear the answer.

    ``claim`` is the token of its claim on the animal, where it has taken one.
    """

    id: UUID
    animal_id: UUID
    claim: int | None = None


class Chore(msgspec.Struct, frozen=True):
    """What is done now and then, so often."""

    seconds: float
    do: Callable[[], Awaitable[object]]


class Alive(msgspec.Struct, frozen=True):
    status: str = "ok"


class Yard(msgspec.Struct, frozen=True):
    """One set of animals and all that it is worked on with. Its addresses begin with ``home``."""

    home: str
    site: Site
    capture: Capture
    claims: Claims
    events: EventLog
    uploads: UploadServer
    recordings: Recordings
    photos: Photos
    butchery: Butchery
    room: Room


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
    return Session(*auth.sign_in(data.executor_id, data.pin, data.witness))


@get("/api/v1/animals", sync_to_thread=True)
def animals(executor: Executor, site: Site) -> list[AnimalView]:
    return site.animals()


@post("/api/v1/animals/{animal_id:uuid}/claim", status_code=200, sync_to_thread=True)
def take_animal(
    animal_id: FromPath[UUID], data: TakeAnimal, executor: Executor, claims: Claims, bell: Bell
) -> Claim:
    """Take an animal for this tablet, or renew its claim. Refused with ``claimed`` while another one has it."""
    claim = claims.take(animal_id, executor.id, data.tablet)
    bell.ring(CLAIM)
    return claim


@delete("/api/v1/animals/{animal_id:uuid}/claim", sync_to_thread=True)
def leave_animal(
    animal_id: FromPath[UUID], token: Annotated[int, QueryParameter()], executor: Executor, claims: Claims, bell: Bell
) -> None:
    claims.release(animal_id, token)
    bell.ring(CLAIM)


@put("/api/v1/animals/{animal_id:uuid}", sync_to_thread=True)
def write_animal(
    animal_id: FromPath[UUID], data: Entry, executor: Executor, capture: Capture, site: Site, bell: Bell
) -> AnimalView:
    """An animal as it stands in the yard: a new one by an id that the tablet has made, or one that is put right."""
    Intake(capture).write(animal_id, data, executor.id)
    bell.ring(OP)
    return site.animals(animal_id)[0]


@get("/api/v1/plan", sync_to_thread=True)
def read_plan(executor: Executor, site: Site, now: Callable[[], datetime]) -> Plan:
    """What is done today, what is left, and what will be left at sunset."""
    return site.plan(now())


@post("/api/v1/sacrifices", sync_to_thread=True)
def open_sacrifice(
    data: OpenSacrifice, executor: Executor, capture: Capture, site: Site, bell: Bell
) -> SacrificeView:
    capture.open_sacrifice(data.id, data.animal_id, executor.id, data.claim)
    bell.ring(OP)
    return site.sacrifice(data.id, executor.language or "")


@get("/api/v1/sacrifices/{sacrifice_id:uuid}", sync_to_thread=True)
def sacrifice(sacrifice_id: FromPath[UUID], executor: Executor, site: Site) -> SacrificeView:
    """Its state, and each video with its verdict and what to do again."""
    return site.sacrifice(sacrifice_id, executor.language or "")


def make_app(
    yards: Sequence[Yard], auth: Auth, clock: Clock, bell: Bell, watch: Watch, preflights: Preflights,
    looker: Looker, newsstand: Newsstand, read_status: Callable[[], Status], chores: Sequence[Chore],
    beside: Sequence[Lifespan] = (),
) -> ASGIApp:
    """The whole application, with security headers around every answer.

    The first yard is the site's own. What is ``beside`` it lives as long as it does.
    """

    def principal(request: AnyRequest) -> str:
        return str(signed_in(request, auth).id)

    async def sweep() -> None:
        for yard in yards:
            await yard.uploads.sweep()

    @asynccontextmanager
    async def receiving(app: Litestar) -> AsyncIterator[None]:
        for yard in yards:
            await yard.uploads.recover()
        doing = [asyncio.create_task(_again_and_again(chore)) for chore in (Chore(SWEEP_S, sweep), *chores)]
        with watch.running():
            yield
        for each in doing:
            each.cancel()
        await asyncio.wait(doing)
        for yard in yards:
            yard.uploads.close()

    def doors(yard: Yard) -> Router:
        handlers = [animals, take_animal, leave_animal, write_animal, read_plan, open_sacrifice, sacrifice, preflight,
                    follow, keep_photo, show_photo, *butchery.API, *CAMERAS, *PAGES]
        names = ("home", "site", "capture", "claims", "events", "recordings", "photos", "butchery", "room")
        parts = {name: _given(getattr(yard, name)) for name in names}
        uploads = tus_routes(yard.uploads, path="/api/v1/uploads", principal=principal)
        return Router(yard.home or "/", route_handlers=[*handlers, uploads], dependencies=parts)

    common = {"auth": auth, "now": clock.now, "read": clock.read, "bell": bell, "watch": watch,
              "preflights": preflights, "looker": looker, "newsstand": newsstand, "read_status": read_status,
              "site": yards[0].site}
    given = {name: _given(part) for name, part in common.items()}
    return SecurityHeaders(Litestar(
        [live, status, executors, sign_in, *NEWS, *OUTSIDE, *ENTRANCE, *map(doors, yards), assets.router()],
        dependencies={**given, "executor": Provide(signed_in, sync_to_thread=True)},
        exception_handlers={**PROBLEM_HANDLERS, NotFoundException: missing},
        lifespan=[receiving, *beside],
        middleware=[Traced],
        openapi_config=None,
        logging_config=None,
    ), hsts=False)  # fmt: skip


def _given(part: object) -> Provide:
    return Provide(lambda: part, sync_to_thread=False)


async def _again_and_again(chore: Chore) -> None:
    while True:
        try:
            await chore.do()
        except Exception as error:  # one that fails is tried again; the tablets are served meanwhile
            _log.error("chore_failed", exc_info=error)
        await asyncio.sleep(chore.seconds)
