"""Boxes and their op chains, for the tests of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.crypto import SigningKey
from sync.ops import GENESIS, Batch, Op, op_hash, pack, sign_op

NODE = UUID(int=0xB0)
SITE = UUID(int=0x517E)
KEY = SigningKey(b"b" * 32)
HUB_KEY = SigningKey(b"h" * 32)


class Chain:
    """The ops of one box, chained; ``hashes[n]`` is the hash of op n, ``hashes[0]`` is GENESIS."""

    def __init__(self, node: UUID = NODE, key: SigningKey = KEY, ops: Sequence[Op] = ()) -> None:
        self.node = node
        self.key = key
        self.ops = list(ops)
        self.hashes = [GENESIS, *map(op_hash, ops)]

    def write(
        self, entity: str, key: UUID, patch: dict[str, Any], *, hlc: int | None = None, actor: str = "box"
    ) -> Op:
        seq = len(self.ops) + 1
        op = Op(self.node, seq, hlc or seq, entity, key, patch, actor, self.hashes[-1])
        self.ops.append(op)
        self.hashes.append(op_hash(op))
        return op

    def batch(self, first: int = 1, last: int | None = None) -> Batch:
        ops = self.ops[first - 1 : last]
        return pack(ops, sign_op(self.key, self.hashes[ops[-1].seq]))

    def clone(self) -> Chain:
        """A second box from a copy of the disk."""
        return Chain(self.node, self.key, self.ops)


def notes(count: int) -> Chain:
    """A chain of that many notes."""
    chain = Chain()
    for n in range(1, count + 1):
        chain.write("sacrifice", UUID(int=1), {"note": f"note {n}"})
    return chain
