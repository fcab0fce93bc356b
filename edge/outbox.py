"""The box's end of the sync protocol, over its database: what is to be sent, and what the hub has confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from edge.capture import Capture
from edge.db import Database, Tx
from edge.node import Node
from shared.clock import Clock
from sync import hlc
from sync.messages import Change, Parked
from sync.ops import Batch, Op, pack
from sync.ports import Outgoing, Position

_LINE_BYTES = 192
"""No op of a batch takes more than this beside its patch."""


class Outbox:
    """A :class:`sync.ports.NodeStore`. ``acked`` and ``cursor`` only ever grow, so a late answer does no harm."""

    def __init__(self, db: Database, node: Node, capture: Capture, clock: Clock) -> None:
        self._db = db
        self._node = node
        self._capture = capture
        self._clock = clock

    def position(self) -> Position:
        row = self._db.rows("SELECT acked, cursor, (SELECT coalesce(max(seq), 0) FROM op) AS head FROM link")[0]
        return Position(self._node.id, row["head"], row["acked"], row["cursor"])

    def batch(self, after: int, max_ops: int, max_bytes: int) -> Batch | None:
        rows = self._db.rows("SELECT * FROM op WHERE seq > ? ORDER BY seq LIMIT ?", after, max_ops)
        ops: list[Op] = []
        size, sig = 0, b""
        for row in rows:
            size += len(row["patch"]) + _LINE_BYTES
            if ops and size > max_bytes:
                break
            key, patch = UUID(row["key"]), msgspec.msgpack.decode(row["patch"])
            ops.append(Op(self._node.id, row["seq"], row["hlc"], row["entity"], key, patch, row["actor"], row["prev"]))
            sig = row["sig"]
        return pack(ops, sig) if ops else None

    def acknowledge(self, acked: int, parked: Sequence[Parked]) -> None:
        def work(tx: Tx) -> None:
            for op in parked:
                tx.execute("UPDATE op SET parked = ? WHERE seq = ?", [f"{op.code}: {op.detail}", op.seq])
            tx.execute("UPDATE link SET acked = max(acked, ?)", [acked])

        self._db.write(work)

    def apply(self, changes: Sequence[Change], cursor: int) -> None:
        self._capture.apply_feed(changes, cursor)

    def heard(self, time_ms: int) -> None:
        contact = [hlc.pack(time_ms), self._clock.read().wall_ms]
        self._db.write(
            lambda tx: tx.execute("UPDATE link SET hub_hlc = max(hub_hlc, ?), contact_ms = ?, error = NULL", contact)
        )

    def failed(self, error: str) -> None:
        """The last attempt to reach the hub ended with ``error``; the next word of the hub clears it."""
        self._db.write(lambda tx: tx.execute("UPDATE link SET error = ?", [error]))

    def outgoing(self) -> Sequence[Outgoing]:
        rows = self._db.rows("""
            SELECT blob.id, blob.size, video.id AS video
            FROM video JOIN blob ON blob.id = video.blob_id WHERE NOT blob.sent ORDER BY video.rowid""")
        return [Outgoing(row["id"], row["size"], "original", UUID(row["video"])) for row in rows]

    def sent(self, blob_id: str) -> None:
        self._db.write(lambda tx: tx.execute("UPDATE blob SET sent = 1 WHERE id = ?", [blob_id]))
