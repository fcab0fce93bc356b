"""What the hub tells the site, as it was told: one table of records, and views of it with the columns of today.

Entities and fields that this version does not know are kept, so that the version that does will find them, and
so that what box and hub compare is the same on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlite_utils
import structlog

from shared.crypto import VerifyKey
from shared.domain.fields import FIELDS, OWN, TOLD
from shared.errors import QurbaniError
from sync import receipts
from sync.feed import Page
from sync.messages import Change

_log = structlog.get_logger(__name__)

Tx = sqlite_utils.Database

FEED: Mapping[str, Sequence[str]] = {entity: tuple(FIELDS[entity]) for entity in TOLD}
"""The records that the hub tells of, and their fields: views and columns of the same names."""

_ON_ITS_WAY = """EXISTS (
    SELECT 1 FROM op, link
    WHERE op.entity = own.entity AND op.key = own.id AND (op.seq > link.acked OR op.parked IS NOT NULL))"""
"""Whether an op about a row of ``own`` has not reached the hub, or the hub could not apply it."""

_UNTOLD = "NOT EXISTS (SELECT 1 FROM feed WHERE feed.entity = own.entity AND feed.key = own.id)"

_OVER = f"""
    SELECT feed.entity, feed.key, iif(own.id IS NULL, feed.fields, json_patch(feed.fields, own.fields)) AS fields
    FROM feed LEFT JOIN own ON own.entity = feed.entity AND own.id = feed.key AND {_ON_ITS_WAY}
    UNION ALL SELECT entity, id, fields FROM own WHERE {_UNTOLD}"""  # noqa: S608 - constants
"""What was told, and over it what was written down here, for as long as the hub has not told it back."""


def make_views(tx: Tx) -> None:
    """Bring the views to the fields of this version."""
    there = {row["name"]: row["sql"] for row in tx.query("SELECT name, sql FROM sqlite_master WHERE type = 'view'")}
    for entity, fields in FEED.items():
        columns = ", ".join(["key AS id", *(f"fields ->> '{name}' AS {name}" for name in fields)])
        source = f"({_OVER})" if entity in OWN else "feed"
        view = f"CREATE VIEW {entity} AS SELECT {columns} FROM {source} WHERE entity = '{entity}'"  # noqa: S608
        if there.get(entity) != view:
            tx.execute(f"DROP VIEW IF EXISTS {entity}")
            tx.execute(view)


def apply(tx: Tx, page: Page) -> None:
    """Take in a page and move to its place; see :meth:`sync.ports.NodeStore.apply`."""
    cursor, was_reading = tx.execute("SELECT cursor, is_reading FROM link").fetchone()
    if page.cursor < cursor and not page.again:
        return  # it comes late: it has been read already
    link = "UPDATE link SET cursor = ?, mark = ?, reading = reading + ?, is_reading = ?"
    is_reading = page.again or was_reading
    tx.execute(link, [page.cursor, page.mark, int(page.again), int(is_reading and page.more)])
    put(tx, page.changes)
    if is_reading and not page.more:
        tx.execute("DELETE FROM feed WHERE reading < (SELECT reading FROM link)")
    _lay_over(tx, begin_anew=page.again)
    if page.mark and not page.more:  # a hub that names no places gives no receipts
        _offer_again(tx)


def overlay(tx: Tx, change: Change) -> bool:
    """Take in a change that is ahead of what was read, so that nothing that comes late undoes it; whether it is new."""
    name = [change.entity, str(change.key)]
    known = tx.execute("SELECT cursor FROM news WHERE entity = ? AND key = ?", name).fetchone()
    if known and known[0] >= change.cursor:
        return False
    fields = None if change.fields is None else json.dumps(change.fields, ensure_ascii=False)
    row = [*name, change.cursor, fields]
    tx.execute("INSERT OR REPLACE INTO news (entity, key, cursor, fields) VALUES (?, ?, ?, ?)", row)
    put(tx, [change])
    return True


def _lay_over(tx: Tx, *, begin_anew: bool) -> None:
    """After a page: what came ahead of it stays on top until it has been read; nothing of a hub that was put back."""
    tx.execute("DELETE FROM news WHERE ? OR cursor <= (SELECT cursor FROM link)", [begin_anew])
    put(tx, [
        Change(row["cursor"], row["entity"], UUID(row["key"]), row["fields"] and json.loads(row["fields"]))
        for row in list(tx.query("SELECT * FROM news ORDER BY cursor"))
    ])


def repair(tx: Tx, changes: Sequence[Change]) -> None:
    """Make records that were found to differ from the hub's what they should be; the cursor stays."""
    put(tx, changes)
    _offer_again(tx)
    tx.execute("UPDATE link SET repaired = repaired + ?", [len(changes)])


def _offer_again(tx: Tx) -> None:
    """What the hub gave no receipt for, or has taken it back as it was put back, counts as not sent."""
    tx.execute("""
        UPDATE blob SET sent = 0, confirmed_ms = NULL
        WHERE sent AND NOT EXISTS (SELECT 1 FROM receipt WHERE blob_id = blob.id)""")


def put(tx: Tx, changes: Iterable[Change]) -> None:
    """Each change replaces its record or takes it away."""
    for change in changes:
        name = [change.entity, str(change.key)]
        if change.fields is None:
            tx.execute("DELETE FROM feed WHERE entity = ? AND key = ?", name)
        else:
            tx.execute(
                "INSERT OR REPLACE INTO feed (entity, key, fields, reading) SELECT ?, ?, ?, reading FROM link",
                [*name, json.dumps(change.fields, ensure_ascii=False)],
            )
            if change.entity == receipts.ENTITY:
                _confirm(tx, change.fields)


def _confirm(tx: Tx, fields: Mapping[str, Any]) -> None:
    """Note that the hub holds a file, when it is the hub that says so, of all the bytes that are here."""
    try:
        hub = VerifyKey(tx.execute("SELECT hub_sign_key FROM node").fetchone()[0])
        receipt = receipts.check(fields, hub)
    except QurbaniError as error:
        _log.error("receipt_refused", blob=fields.get("blob_id"), code=error.code, detail=error.detail)
        return
    tx.execute(
        "UPDATE blob SET sent = 1, confirmed_ms = ? WHERE id = ? AND size = ?",
        [receipt.durable_ms, receipt.blob_id, receipt.size],
    )


def keep_own(tx: Tx, entity: str, id: UUID, patch: Mapping[str, Any]) -> None:
    """Show what was written down here over what was told. Of what the hub has told back, the hub's word counts."""
    name = {"entity": entity, "id": str(id)}
    query = f"SELECT fields FROM own WHERE entity = :entity AND id = :id AND ({_UNTOLD} OR {_ON_ITS_WAY})"  # noqa: S608
    ours = next(iter(tx.query(query, name)), None)
    fields = {**(json.loads(ours["fields"]) if ours else {}), **patch}
    tx.table("own").upsert({**name, "fields": json.dumps(fields, ensure_ascii=False)}, pk=("entity", "id"))


def records(tx: Tx) -> dict[tuple[str, UUID], dict[str, Any]]:
    """All of it, for comparison with the hub's."""
    rows = tx.query("SELECT entity, key, fields FROM feed")
    return {(row["entity"], UUID(row["key"])): json.loads(row["fields"]) for row in rows}
