"""The sync protocol over HTTP; see ``sync/PROTOCOL.md``."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post

from cloud.apply import service
from cloud.executors import service as executors
from cloud.platform import given
from cloud.platform.access import ANYONE, NODE
from sync.hub import read_exchange
from sync.messages import ENROL, EXCHANGE, MAX_MESSAGE_BYTES, MEDIA_TYPE, TOKEN, Enrol, from_wire, to_wire
from sync.tokens import Token

AnyRequest = Request[Any, Any, Any]

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
async def exchange(request: AnyRequest, session: given.Session, now: given.Now, who: given.Who) -> Response[bytes]:
    """The box's next ops come in, the next page of its site's feed goes out."""
    message = read_exchange(await request.body(), who.id)
    return Response(to_wire(await service.exchange(session, message, now)), media_type=MEDIA_TYPE)


ROUTES = [enrol, token, exchange]
