"""News that a person brought to a box without a network: as a file, or as codes before a tablet's camera."""

from __future__ import annotations

import threading
from functools import partial
from typing import Annotated

import msgspec
from litestar import post
from litestar.params import QueryParameter

from edge import feed, people
from edge.auth import Executor
from edge.bus import FEED, Bell
from edge.db import Database, Tx
from edge.node import Keys
from edge.node import load as load_node
from shared import codes, sealed
from shared.clock import Clock, Reading
from shared.errors import QurbaniError
from sync import hlc, news
from sync.bundle import Receiver

MAX_BYTES = 4 << 20


class Taken(msgspec.Struct, frozen=True):
    """News that were taken in: how many records they changed, and when the hub issued them (Unix ms)."""

    changes: int
    issued_ms: int


class Seen(msgspec.Struct, frozen=True):
    """How far the codes have been seen; ``taken`` once they all were."""

    seen: int = 0
    total: int = 0
    taken: Taken | None = None


def take(db: Database, keys: Keys, clock: Clock, raw: bytes) -> Taken:
    """Take in news that the hub issued for this box.

    Raises what :func:`sync.news.read` raises, ``old_news`` for any that were taken before or were issued before what
    the box has heard since, ``missing_news`` where what came before them is not here.
    """
    node = load_node(db)
    if node is None:
        raise QurbaniError("not_enrolled")
    receiver = Receiver(node.id, node.hub_verify, keys.seal.public, partial(sealed.unseal, key=keys.seal))
    found = news.read(receiver, node.site_id, raw)
    now = clock.read()
    return db.write(lambda tx: _take(tx, found, now))


def _take(tx: Tx, found: news.News, now: Reading) -> Taken:
    link = next(iter(tx.query("SELECT * FROM link")))
    if found.issued_ms <= max(link["news_ms"], link["contact_hub_ms"] or 0):
        raise QurbaniError("old_news")
    if found.since > link["cursor"]:
        raise QurbaniError("missing_news", f"they begin after {found.since}, this box has read up to {link['cursor']}")
    if found.since == link["cursor"] and found.mark != link["mark"]:
        raise QurbaniError("missing_news", "the hub was put back since this box has spoken with it")
    changes = [change for change in found.changes if change.cursor > link["cursor"] and feed.overlay(tx, change)]
    stamp = hlc.pack(found.issued_ms)
    tx.execute("UPDATE link SET news_ms = ?, hub_hlc = max(hub_hlc, ?)", [found.issued_ms, stamp])
    people.vouch(tx, now, found.issued_ms, by_hand=True)
    tx.execute("INSERT INTO event (entity, key) SELECT 'site', site_id FROM node")
    return Taken(len(changes), found.issued_ms)


class Newsstand:
    """Takes news in for tablets, whole or code by code."""

    def __init__(self, db: Database, keys: Keys, clock: Clock, bell: Bell) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock
        self._bell = bell
        self._lock = threading.Lock()
        self._gathering = codes.Gathering()

    def take(self, raw: bytes) -> Taken:
        """See :func:`take`."""
        taken = take(self._db, self._keys, self._clock, raw)
        self._bell.ring(FEED)
        return taken

    def look(self, pixels: bytes, width: int) -> Seen:
        """See what codes there are in a picture; raises as :func:`take` once the last one was there."""
        seen = Seen()
        for text in codes.look(pixels, width):
            with self._lock:
                found = self._gathering.add(text)
            seen = Seen(taken=self.take(found)) if isinstance(found, bytes) else Seen(found.seen, found.total)
        return seen


@post("/api/v1/news", status_code=200, request_max_body_size=MAX_BYTES, sync_to_thread=True)
def bring(body: bytes, executor: Executor, newsstand: Newsstand) -> Taken:
    """News as the hub has written them into a file."""
    return newsstand.take(body)


@post("/api/v1/news/pictures", status_code=200, request_max_body_size=MAX_BYTES, sync_to_thread=True)
def show(
    body: bytes, executor: Executor, newsstand: Newsstand, width: Annotated[int, QueryParameter()]
) -> Seen:
    """What a camera sees of the codes: rows of ``width`` grey pixels, a byte each."""
    return newsstand.look(body, width)


NEWS = [bring, show]
