"""The box's end of the sync protocol, over its database: what is to be sent, and what the hub has confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from edge import feed, people
from edge.capture import Capture
from edge.db import Database, Tx
from edge.node import Keys
from shared.clock import Clock
from sync import hlc
from sync.feed import Page
from sync.messages import Change, Parked
from sync.ops import GENESIS, Batch, Op, pack
from sync.ports import Heir, Outgoing, Position
from sync.schedule import due_ms, order

_LINE_BYTES = 192
"""No op of a batch takes more than this beside its patch."""


class Outbox:
    """A :class:`sync.ports.NodeStore`."""

    def __init__(self, db: Database, keys: Keys, capture: Capture, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._capture = capture
        self._clock = clock

    def position(self) -> Position:
        row = self._db.rows("""
            SELECT id, acked, cursor, mark, (SELECT coalesce(max(seq), 0) FROM op) AS head FROM node, link""")[0]
        return Position(UUID(row["id"]), row["head"], row["acked"], row["cursor"], row["mark"])

    def hash_at(self, seq: int) -> bytes:
        found = self._db.rows("SELECT hash FROM op WHERE seq = ?", seq)
        return bytes(found[0]["hash"]) if seq else GENESIS

    def batch(self, after: int, max_ops: int, max_bytes: int) -> Batch | None:
        rows = self._db.rows("SELECT node.id, op.* FROM op, node WHERE seq > ? ORDER BY seq LIMIT ?", after, max_ops)
        ops: list[Op] = []
        size, sig = 0, b""
        for row in rows:
            size += len(row["patch"]) + _LINE_BYTES
            if ops and size > max_bytes:
                break
            node, key, patch = UUID(row["id"]), UUID(row["key"]), msgspec.msgpack.decode(row["patch"])
            ops.append(Op(node, row["seq"], row["hlc"], row["entity"], key, patch, row["actor"], row["prev"]))
            sig = row["sig"]
        return pack(ops, sig) if ops else None

    def acknowledge(self, acked: int, parked: Sequence[Parked], *, whole: bool = False) -> None:
        def work(tx: Tx) -> None:
            if whole:
                tx.execute("UPDATE op SET parked = NULL WHERE parked IS NOT NULL")
            for op in parked:
                tx.execute("UPDATE op SET parked = ? WHERE seq = ?", [f"{op.code}: {op.detail}", op.seq])
            tx.execute("UPDATE link SET acked = ?", [acked])

        self._db.write(work)

    def apply(self, page: Page) -> None:
        self._capture.apply_feed(page.changes, page.cursor, page.mark, again=page.again, more=page.more)

    def records(self) -> dict[tuple[str, UUID], dict[str, Any]]:
        return self._db.read(feed.records)

    def repair(self, changes: Sequence[Change]) -> None:
        self._db.write(lambda tx: feed.repair(tx, changes))

    def heir(self) -> Heir:
        return Heir(self._keys.ring.make(self._heir_file()), self._keys.seal.public)

    def take_over(self, node: UUID, common: int) -> None:
        self._capture.take_over(node, common, self._heir_file())

    def _heir_file(self) -> str:
        former = self._db.rows("SELECT count(*) AS names FROM former_node")[0]["names"]
        return f"sign-{former + 2}.pem"

    def heard(self, time_ms: int) -> None:
        now = self._clock.read()
        contact = [hlc.pack(time_ms), now.wall_ms, time_ms, now.mono_ms, now.boot]

        def work(tx: Tx) -> None:
            tx.execute("""
                UPDATE link SET hub_hlc = max(hub_hlc, ?), contact_ms = ?, error = NULL,
                contact_hub_ms = ?, contact_mono_ms = ?, contact_boot = ?""", contact)
            people.vouch(tx, now, time_ms)

        self._db.write(work)

    def failed(self, error: str) -> None:
        """The last attempt to reach the hub ended with ``error``; the next word of the hub clears it."""
        self._db.write(lambda tx: tx.execute("UPDATE link SET error = ?", [error]))

    def outgoing(self) -> Sequence[Outgoing]:
        """Also what has left the box, should its receipt be gone: the hub may still have it, and is asked."""
        rows = self._db.rows("""
            WITH file AS (
                SELECT blob_id, id AS video_id, 'original' AS kind FROM video
                UNION ALL SELECT blob_id, video_id, variant FROM copy)
            SELECT blob.id, blob.size, kind, video.id AS record, captured ->> 'wall_ms' AS recorded_ms, outcome
            FROM file JOIN blob ON blob.id = file.blob_id JOIN video ON video.id = file.video_id
            LEFT JOIN verdict ON verdict.video_id = video.id
            WHERE NOT blob.sent ORDER BY video.rowid""")
        photos = self._db.rows("""
            SELECT blob.id, blob.size, 'photo' AS kind, photo.id AS record, NULL AS recorded_ms
            FROM photo JOIN blob ON blob.id = photo.blob_id WHERE NOT blob.sent ORDER BY photo.rowid""")
        return order(
            Outgoing(each["id"], each["size"], each["kind"], UUID(each["record"]),
                     due_ms(each["recorded_ms"], each["outcome"]) if each["recorded_ms"] else 0)
            for each in [*rows, *photos]
        )

    def sent(self, blob_id: str) -> None:
        self._db.write(lambda tx: tx.execute("UPDATE blob SET sent = 1 WHERE id = ?", [blob_id]))
