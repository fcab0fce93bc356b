"""Bundles from and for this box, for sites where a stick is the way to the hub. The box may run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from edge import people
from edge.db import Tx
from edge.main import Box
from edge.outbox import Outbox
from shared import sealed
from shared.errors import QurbaniError
from shared.stick import StickFolder, to_box, to_hub
from sync import bundle, hlc
from sync.bundle import Answer, Exported, Receiver, Sender, Stick
from sync.ports import Outgoing

Moved = Callable[[int], None]


class Visit(msgspec.Struct, frozen=True):
    """What an export did: first it took the hub's ``answer`` from the stick, if there was one, then it wrote.

    ``problem`` is what is wrong with the answer that lies there, if anything is.
    """

    exported: Exported
    answer: Answer | None
    problem: str = ""


class _Outbox(Outbox):
    """The box's end of the protocol for an answer that may be days old: no contact, and no word on the link."""

    def heard(self, time_ms: int) -> None:
        stamp, now = [hlc.pack(time_ms)], self._clock.read()

        def work(tx: Tx) -> None:
            tx.execute("UPDATE link SET hub_hlc = max(hub_hlc, ?)", stamp)
            people.vouch(tx, now, time_ms, by_hand=True)

        self._db.write(work)

    def outgoing(self) -> Sequence[Outgoing]:
        gone = {row["id"] for row in self._db.rows("SELECT id FROM blob WHERE pruned")}
        return [blob for blob in super().outgoing() if blob.blob_id not in gone]


def export(box: Box, stick: Path, moved: Moved, *, part_bytes: int = bundle.PART_BYTES) -> Visit:
    """Write all that the hub does not have yet. Repeating it goes on where it was cut.

    Raises ``stick_gone`` or ``storage_full``.
    """
    node = box.node.id
    return write(box, StickFolder(to_hub(stick, node), moved), StickFolder(to_box(stick, node), moved), part_bytes)


def take_back(box: Box, stick: Path, moved: Moved) -> Answer:
    """Take in what the hub wrote on the stick for this box. Safe to repeat.

    Raises ``no_bundle``, or why what lies there is not good: see :func:`sync.bundle.newest`.
    """
    return read(box, StickFolder(to_box(stick, box.node.id), moved))


def write(box: Box, out: Stick, back: Stick, part_bytes: int = bundle.PART_BYTES) -> Visit:
    """As :func:`export`, with the two folders of the box on any medium."""
    answer, problem = None, ""
    try:
        answer = read(box, back)
    except QurbaniError as error:
        if error.code not in {"no_bundle", "damaged", "bad_signature", "bad_version", "foreign_bundle"}:
            raise
        problem = "" if error.code == "no_bundle" else f"{error.code}: {error.detail}"
    to = box.node.hub_seal
    sender = Sender(box.node.id, box.keys.ring[box.node.sign_file], to, partial(sealed.seal, recipients=[to]))
    exported = bundle.export(sender, _outbox(box), box.blobs, out, answered=answer, part_bytes=part_bytes)
    _remember(box, exported)
    return Visit(exported, answer, problem)


def read(box: Box, back: Stick) -> Answer:
    """As :func:`take_back`."""
    key = box.keys.seal
    receiver = Receiver(box.node.id, box.node.hub_verify, key.public, partial(sealed.unseal, key=key))
    return bundle.take_back(receiver, _outbox(box), back)


def _remember(box: Box, exported: Exported) -> None:
    """What lies on a stick now. It says nothing about the hub: that does only its answer."""
    now_ms = box.clock.read().wall_ms

    def work(tx: Tx) -> None:
        tx.execute("UPDATE link SET stick_seq = ?, stick_ms = ?", [exported.last, now_ms])
        for blob in exported.blobs:
            tx.execute("UPDATE blob SET stick_ms = ? WHERE id = ?", [now_ms, blob.blob_id])

    box.db.write(work)


def _outbox(box: Box) -> _Outbox:
    return _Outbox(box.db, box.keys, box.capture, box.clock)
