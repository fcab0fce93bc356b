"""What changed at the site, as it changes: tablets hear of it over a WebSocket and go on where they were cut off.

The events are rows, written by triggers in the transaction of the change itself, so none is missing and none is of
something that was rolled back. An event says what to look at, never what to see.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.params import QueryParameter

from edge.auth import Auth
from edge.bus import Ear
from edge.db import Database, Tx
from edge.gate import cookie_name, signed_in
from shared.errors import QurbaniError
from shared.origin import refuse_foreign

AnySocket = WebSocket[Any, Any, Any]

LOOK_S = 1.0
"""How late a change is noticed whose bell was lost."""

PAGE = 500

SIGNED_OUT = 4401
"""The WebSocket close code for what HTTP calls 401."""


class Event(msgspec.Struct, frozen=True):
    """``entity`` is a kind of record (``sacrifice``, ``verdict``, ``claim`` ...), ``key`` its id."""

    entity: str
    key: str


class Page(msgspec.Struct, frozen=True):
    """What came after a cursor, oldest first, and the cursor to ask with next time.

    ``is_whole`` is False when older events have been forgotten meanwhile: then look at everything anew.
    """

    cursor: int
    events: list[Event]
    is_whole: bool = True


class EventLog:
    """Reads the events of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def head(self) -> int:
        """The cursor of now."""
        return int(self._db.rows("SELECT coalesce(max(seq), 0) AS head FROM event")[0]["head"])

    def after(self, cursor: int) -> Page:
        """At most :data:`PAGE` events. A cursor from before the log, or from another box, begins anew at its head."""

        def work(tx: Tx) -> Page:
            first, last = tx.execute("SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM event").fetchone()
            if not first - 1 <= cursor <= last:
                return Page(last, [], is_whole=False)
            rows = list(tx.query("SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?", [cursor, PAGE]))
            return Page(rows[-1]["seq"] if rows else cursor, [Event(row["entity"], row["key"]) for row in rows])

        return self._db.read(work)


class Watch:
    """Wakes those who wait for changes, at each bell and now and then. Belongs to one event loop."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._woken = asyncio.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen in a thread of its own as long as the block runs."""
        loop, is_over = asyncio.get_running_loop(), threading.Event()

        def listen() -> None:
            while not is_over.is_set():
                self._ear.wait(LOOK_S)
                if not is_over.is_set():
                    loop.call_soon_threadsafe(self._wake)

        thread = threading.Thread(target=listen, name="bells", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()

    @property
    def tick(self) -> asyncio.Event:
        """Set at the next bell, or after :data:`LOOK_S`. Take it before looking, so that no bell falls in between."""
        return self._woken

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()


@websocket("/api/v1/events")
async def follow(
    socket: AnySocket, auth: Auth, events: EventLog, watch: Watch, after: Annotated[int | None, QueryParameter()] = None
) -> None:
    """What changes, as pages of events, from ``after`` on (without it: from now). Nothing is taken from the client.

    The first page comes at once, so that the client knows where it stands also when nothing happens.
    """
    refuse_foreign("POST", socket.headers, signed_in=cookie_name(socket) in socket.cookies)
    await socket.accept()
    gone = asyncio.create_task(_until_gone(socket))
    cursor = await asyncio.to_thread(events.head) if after is None else after
    is_first = True
    while not gone.done():
        tick = watch.tick
        page = await asyncio.to_thread(_page_for, socket, auth, events, cursor)
        if page is None:
            await socket.close(SIGNED_OUT)
            break
        if page.events or is_first or not page.is_whole:
            await socket.send_data(msgspec.json.encode(page).decode())
        cursor, is_first = page.cursor, False
        if len(page.events) < PAGE:
            ticking = asyncio.create_task(tick.wait())
            await asyncio.wait({gone, ticking}, return_when=asyncio.FIRST_COMPLETED)
            ticking.cancel()
    gone.cancel()


def _page_for(socket: AnySocket, auth: Auth, events: EventLog, cursor: int) -> Page | None:
    """None when whoever listens is signed in no longer."""
    try:
        signed_in(socket, auth)
    except QurbaniError:
        return None
    return events.after(cursor)


async def _until_gone(socket: AnySocket) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data(mode="text")
