"""Ops: what a box did, one after the other, hash-chained and signed. Never changed, never dropped.

An op is named by ``(node, seq)`` and by its hash. The hash covers the op and the hash of the one before it,
so a signature over the hash of any op is a signature over everything up to it; a batch therefore carries one
signature, that of its last op (docs/adr/0002-one-signature-a-batch.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec

from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError

VERSION = 1
GENESIS = bytes(32)
"""The ``prev`` of a node's first op."""
HUB = UUID(int=0)
"""The node that the hub's own writes carry."""

MAX_BATCH_OPS = 5_000
MAX_PATCH_BYTES = 256 << 10
MAX_BATCH_BYTES = 1 << 20
"""How much a box puts into one batch, in canonical bytes of its lines; a single op always fits."""

Count = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Stamp = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]

_SIGNED = b"qurbani/op/1\0"


class Op(msgspec.Struct, frozen=True, array_like=True):
    """One change to the fields of one record: ``patch`` maps field names to their new values.

    ``seq`` counts from 1 without a gap for each node. ``hlc`` is a :mod:`sync.hlc` stamp. ``actor`` is
    who did it (an executor's id, or ``"box"``). ``prev`` is the hash of the op before.
    """

    node: UUID
    seq: Count
    hlc: Stamp
    entity: Name
    key: UUID
    patch: dict[str, Any]
    actor: Name
    prev: Hash


class Line(msgspec.Struct, frozen=True, array_like=True):
    """An op inside a batch: what the batch does not already say."""

    hlc: Stamp
    entity: Name
    key: UUID
    patch: dict[str, Any]
    actor: Name


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive ops of one node: ``lines[i]`` has ``seq == first + i``; ``sig`` signs the last one's hash."""

    node: UUID
    first: Count
    prev: Hash
    lines: list[Line]
    sig: Signature

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
    """The ops and hashes of a batch whose signature holds.

    Raises ``bad_signature`` when it does not, ``too_large``, or ``bad_input`` where there is nothing to hash.
    """
    if not batch.lines:
        raise QurbaniError("bad_input", "a batch holds at least one op")
    if len(batch.lines) > MAX_BATCH_OPS:
        raise QurbaniError("too_large", f"a batch has at most {MAX_BATCH_OPS} ops, this one {len(batch.lines)}")
    try:
        chained = list(unpack(batch))
    except (TypeError, RecursionError) as error:
        raise QurbaniError("bad_input", f"a patch has no canonical bytes: {error}") from error
    key.verify(batch.sig, _SIGNED + chained[-1][1])
    return chained
