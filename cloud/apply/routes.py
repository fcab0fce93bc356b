"""The sync protocol over HTTP; see ``sync/PROTOCOL.md``."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from cloud.apply import cases, service
from cloud.apply.admission import Admission
from cloud.apply.cases import Case, Quarantined, Settle
from cloud.executors import service as executors
from cloud.platform import given
from cloud.platform.access import ANYONE, NODE, Principal
from cloud.platform.metrics import MEDIA_TYPE as MEASURES
from cloud.platform.metrics import exposition, watching
from shared.errors import QurbaniError
from sync.hub import read_exchange
from sync.messages import (
    DIGEST,
    ENROL,
    EXCHANGE,
    MAX_MESSAGE_BYTES,
    MEDIA_TYPE,
    RENEW,
    TOKEN,
    Compare,
    Enrol,
    Renew,
    from_wire,
    to_wire,
)
from sync.tokens import Token

AnyRequest = Request[Any, Any, Any]
Own = TypeVar("Own", Compare, Renew)

OfNode = Annotated[UUID | None, QueryParameter(name="node")]

LOOK = ("admin", "auditor")
MAX_FORM_BYTES = 16 << 10


@post(ENROL, status_code=200, roles=(ANYONE,), request_max_body_size=MAX_FORM_BYTES)
async def enrol(
    request: AnyRequest, platform: given.Platform, session: given.Session, now: given.Now
) -> Response[bytes]:
    """A one-time code makes a box a node of a site. The same box may ask again."""
    message = from_wire(await request.body(), Enrol)
    return Response(to_wire(await executors.enrol(session, message, platform, now)), media_type=MEDIA_TYPE)


@post(TOKEN, status_code=200, roles=(ANYONE,), request_max_body_size=MAX_FORM_BYTES)
async def token(request: AnyRequest, platform: given.Platform, session: given.Session, now: given.Now) -> Token:
    """A short-lived token for a box, by ``private_key_jwt`` (RFC 7523)."""
    return await service.token(session, await request.body(), platform, now)


@post(EXCHANGE, status_code=200, roles=(NODE,), request_max_body_size=MAX_MESSAGE_BYTES)
async def exchange(
    request: AnyRequest, platform: given.Platform, admission: NamedDependency[Admission], who: given.Who
) -> Response[bytes]:
    """The box's next ops come in, the next page of its site's feed goes out."""
    size = int(request.headers.get("content-length", MAX_MESSAGE_BYTES))
    if size <= MAX_MESSAGE_BYTES:  # else it is refused anyhow
        await admission.enter(who.id, size)
    message = read_exchange(await request.body(), who.id)
    # Not before: a body may be minutes on its way, and a connection to the database must not wait for it.
    async with admission.turn(size), platform.database.begin() as session:
        answer = await service.exchange(session, message, platform.clock.now())
    return Response(to_wire(answer), media_type=MEDIA_TYPE)


@post(DIGEST, status_code=200, roles=(NODE,), request_max_body_size=MAX_MESSAGE_BYTES)
async def compare(
    request: AnyRequest, platform: given.Platform, session: given.Session, now: given.Now, who: given.Who
) -> Response[bytes]:
    """Where what the box holds differs from what it was told."""
    message = own(from_wire(await request.body(), Compare), who)
    return Response(to_wire(await service.compare(session, message, now, platform.new_id)), media_type=MEDIA_TYPE)


@post(RENEW, status_code=200, roles=(NODE,), request_max_body_size=MAX_FORM_BYTES)
async def renew(
    request: AnyRequest, platform: given.Platform, session: given.Session, now: given.Now, who: given.Who
) -> Response[bytes]:
    """A box that found another one under its name gets a name of its own."""
    message = own(from_wire(await request.body(), Renew), who)
    return Response(to_wire(await service.renew(session, message, platform, now)), media_type=MEDIA_TYPE)


@get("/api/v1/quarantine", roles=LOOK)
async def quarantine(session: given.Session, paging: given.Paging, node: OfNode = None) -> list[Quarantined]:
    """What boxes sent that could not be applied, and why. Nothing of it is lost, and it holds up nothing else."""
    return await cases.quarantine(session, paging, node)


@post("/api/v1/quarantine/redrive", status_code=200, roles=("admin",))
async def redrive(data: JSONBody[service.Redrive], session: given.Session, now: given.Now) -> dict[str, int]:
    """Try quarantined ops again: all, those of one box, or one of them."""
    return {"applied": await service.retry_parked(session, now, data)}


@get("/api/v1/conflicts", roles=LOOK)
async def conflicts(session: given.Session, paging: given.Paging) -> list[Case]:
    """Fields of which there are two versions, with who wrote each."""
    return await cases.conflicts(session, paging)


@post("/api/v1/conflicts/settle", status_code=204, roles=("admin",))
async def settle(data: JSONBody[Settle], session: given.Session, now: given.Now, who: given.Who) -> None:
    """Write down what was decided about a conflict. All versions stay; a further one opens it again."""
    await cases.settle(session, data, who.id, now)


@get("/metrics", roles=(ANYONE,), guards=[watching], limit="none", media_type=MEASURES)
async def metrics(session: given.Session) -> str:
    """What Prometheus reads of this process, and of the sync: in health, there are no divergences."""
    name = "qurbani_sync_divergence_total"
    return (
        f"# HELP {name} Parts of a site feed that a box held otherwise than it had been told.\n"
        f"# TYPE {name} counter\n{name} {await service.divergences(session)}\n"
    ) + exposition()


def own(message: Own, who: Principal) -> Own:
    """The message, when ``who`` speaks for itself. Raises ``forbidden``."""
    if message.node != who.id:
        raise QurbaniError("forbidden", "a box speaks for itself only")
    return message


ROUTES = [enrol, token, exchange, compare, renew, quarantine, redrive, conflicts, settle, metrics]
