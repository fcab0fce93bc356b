"""Ops: what a box did, one after the other, hash-chained and signed. Never changed, never dropped.

An op is named by ``(node, seq)`` and by its hash. The hash covers the op and the hash of the one before it,
so a signature over the hash of any op is a signature over everything up to it; a batch therefore carries one
signature, that of its last op (docs/adr/0002-one-signature-a-batch.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError

VERSION = 1
GENESIS = bytes(32)
"""The ``prev`` of a node's first op."""

_SIGNED = b"qurbani/op/1\0"


class Op(msgspec.Struct, frozen=True, array_like=True):
    """One change to the fields of one record: ``patch`` maps field names to their new values.

    ``seq`` counts from 1 without a gap for each node. ``hlc`` is a :mod:`sync.hlc` stamp. ``actor`` is
    who did it (an executor's id, or ``"box"``). ``prev`` is the hash of the op before.
    """

    node: UUID
    seq: int
    hlc: int
    entity: str
    key: UUID
    patch: dict[str, Any]
    actor: str
    prev: bytes


class Line(msgspec.Struct, frozen=True, array_like=True):
    """An op inside a batch: what the batch does not already say."""

    hlc: int
    entity: str
    key: UUID
    patch: dict[str, Any]
    actor: str


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive ops of one node: ``lines[i]`` has ``seq == first + i``; ``sig`` signs the last one's hash."""

    node: UUID
    first: int
    prev: bytes
    lines: list[Line]
    sig: bytes

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1


# Canonical: array form, map keys sorted, UUIDs as 16 bytes, shortest integers.
_encoder = msgspec.msgpack.Encoder(order="deterministic", uuid_format="bytes")


def encode(value: Any) -> bytes:
    """The canonical bytes of a message or op: MessagePack, map keys sorted, UUIDs as 16-byte binaries."""
    return _encoder.encode(value)


def op_hash(op: Op) -> bytes:
    """SHA-256 over the canonical bytes of the op."""
    return hashlib.sha256(encode(op)).digest()


def sign_op(key: SigningKey, digest: bytes) -> bytes:
    """The node's Ed25519 signature over an op's hash, bound to its purpose."""
    return key.sign(_SIGNED + digest)


def pack(ops: Sequence[Op], sig: bytes) -> Batch:
    """Consecutive ops as a batch; ``sig`` is the signature stored with the last of them."""
    lines = [Line(op.hlc, op.entity, op.key, op.patch, op.actor) for op in ops]
    return Batch(ops[0].node, ops[0].seq, ops[0].prev, lines, sig)


def unpack(batch: Batch) -> Iterable[tuple[Op, bytes]]:
    """The ops of a batch, each with its hash, chained as the batch claims. Nothing is verified here."""
    prev = batch.prev
    for seq, line in enumerate(batch.lines, batch.first):
        op = Op(batch.node, seq, line.hlc, line.entity, line.key, line.patch, line.actor, prev)
        prev = op_hash(op)
        yield op, prev


def verify(batch: Batch, key: VerifyKey) -> list[tuple[Op, bytes]]:
    """The ops and hashes of a batch whose signature holds. Raises ``bad_signature`` otherwise."""
    if not batch.lines:
        raise QurbaniError("bad_input", "a batch holds at least one op")
    chained = list(unpack(batch))
    key.verify(batch.sig, _SIGNED + chained[-1][1])
    return chained
