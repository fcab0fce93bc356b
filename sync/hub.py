"""The hub's side of an exchange, without its database: which of the ops a box sends are new.

In one transaction, with the box's row locked, the hub reads how far it holds the box's chain, asks
:func:`joint` at which seq the batch meets that chain, looks up the hash it holds there, and lets
:func:`accept` decide. It stores what is fresh, applies it, commits, and only then answers.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from shared.crypto import VerifyKey
from shared.errors import QurbaniError
from sync import enrolment, hlc
from sync.messages import Exchange, Renew, from_wire
from sync.ops import VERSION, Batch, Op, verify


class Fresh(msgspec.Struct, frozen=True):
    """An op that the hub does not hold yet, its hash, and the ``stamp`` to merge it by (see sync.hlc.admit)."""

    op: Op
    hash: bytes
    stamp: int


def read_exchange(body: bytes, node: UUID) -> Exchange:
    """The exchange that the authenticated ``node`` sends.

    Raises ``bad_input`` or ``too_large`` (see from_wire), ``bad_version``, and ``forbidden`` when it speaks
    for another box.
    """
    exchange = from_wire(body, Exchange)
    if exchange.version != VERSION:
        raise QurbaniError("bad_version", f"this hub speaks version {VERSION}", versions=[VERSION])
    if node != exchange.node or (exchange.batch and node != exchange.batch.node):
        raise QurbaniError("forbidden", "a box speaks for itself only")
    return exchange


def joint(batch: Batch, acked: int) -> int:
    """The seq at which the batch meets the ops held up to ``acked``: there both must have the same hash.

    It is ``acked``, or the batch's last op when all of it is old. Raises ``gap`` when ops are missing between.
    """
    if batch.first > acked + 1:
        raise QurbaniError("gap", f"ops {acked + 1} to {batch.first - 1} are missing", acked=acked)
    return min(batch.last, acked)


def accept(batch: Batch, key: VerifyKey, *, acked: int, held: bytes, stamp: int, now_ms: int) -> list[Fresh]:
    """The ops of ``batch`` after ``acked``, verified, in order; none when all of it is old.

    ``held`` is the hash that the hub holds at :func:`joint` (GENESIS at 0), ``stamp`` the stamp of the op at
    ``acked`` (0 at 0). One comparison covers every op that both sides have, since each hash covers those
    before it. Raises what ``joint`` and :func:`sync.ops.verify` raise, and ``fork`` when the chains differ.
    """
    meet = joint(batch, acked)
    chained = verify(batch, key)
    found = chained[meet - batch.first][1] if meet >= batch.first else batch.prev
    if found != held:
        raise QurbaniError("fork", f"op {meet} of this box has two versions", node=str(batch.node), seq=meet)
    fresh = []
    for op, digest in chained[meet - batch.first + 1:]:
        stamp = hlc.admit(stamp, op.hlc, now_ms)
        fresh.append(Fresh(op, digest, stamp))
    return fresh


def check_renewal(message: Renew, node: UUID, *, acked: int, held: bytes) -> None:
    """Return when ``node`` needs another identity: the hub holds ops of it that this box has not written.

    ``held`` is the hash that the hub holds at the last common op, ``acked`` its newest. Raises ``forbidden``,
    ``conflict`` where there is no fork, and what :func:`sync.enrolment.check_renewal` raises.
    """
    enrolment.check_renewal(message)
    if message.node != node:
        raise QurbaniError("forbidden", "a box speaks for itself only")
    if acked <= message.seq or held != message.hash:
        raise QurbaniError("conflict", "the hub holds no other history of this box")
