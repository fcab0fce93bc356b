"""The WebSocket over which a page hears what changes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import QueryParameter

from cloud.auth import service as auth
from cloud.gateway import log
from cloud.gateway.log import Entry
from cloud.gateway.tail import UNREACHABLE, Page, Tail
from cloud.platform import given
from cloud.platform.access import Principal
from shared.errors import QurbaniError

AnySocket = WebSocket[Any, Any, Any]

STAFF = ("admin", "auditor")

SIGNED_OUT, AWAY = 4401, 1013
"""Close codes: what HTTP calls 401, and that it may be tried again (RFC 6455's registry)."""

LOOK_S = 30.0
"""How long somebody who has signed out elsewhere may go on hearing that nothing happens."""


@websocket("/api/v1/events", roles=("donor", *STAFF))
async def follow(
    socket: AnySocket, tail: NamedDependency[Tail], platform: given.Platform,
    after: Annotated[str | None, QueryParameter()] = None,
) -> None:
    """What changes, as pages of events, from ``after`` on (without it: from now). Nothing is taken from the client.

    Donors hear of their own orders, staff of everything. The first page comes at once, so that the client knows where
    it stands also when nothing happens.
    """
    who: Principal = socket.scope["user"]
    cursor = after or tail.head or log.BEGIN
    if not log.is_cursor(cursor):
        raise QurbaniError("bad_input", "after is no cursor", field="after")
    await socket.accept()
    gone = asyncio.create_task(_until_gone(socket))
    try:
        is_first = True
        while not gone.done():
            tick = tail.tick
            page = await tail.page(cursor, lambda entry: _concerns(who, entry))
            if page.events or is_first or not page.is_whole:
                if not await _is_signed_in(platform, who):
                    await socket.close(SIGNED_OUT)
                    return
                await socket.send_data(msgspec.json.encode(page).decode())
            cursor, is_first = page.cursor, False
            if _is_all(page, tail):
                ticking = asyncio.create_task(tick.wait())
                done, _ = await asyncio.wait({gone, ticking}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                ticking.cancel()
                is_first = not done  # nothing happened for a while: say so, to whoever may still hear it
    except UNREACHABLE:
        await socket.close(AWAY)
    finally:
        gone.cancel()


def _is_all(page: Page, tail: Tail) -> bool:
    """Whether nothing more waits in the log than ``page`` has told."""
    return tail.head is None or log.number(page.cursor) >= log.number(tail.head)


def _concerns(who: Principal, entry: Entry) -> bool:
    return who.role in STAFF or entry.donor == str(who.id)


async def _is_signed_in(platform: given.Platform, who: Principal) -> bool:
    now = await auth.holder(platform, who.session) if who.session else None
    return now is not None and (now.id, now.role, now.waits) == (who.id, who.role, False)


async def _until_gone(socket: AnySocket) -> None:
    """Returns when the client does; what it says is of no interest."""
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data("text")


ROUTES = [follow]
