"""What records must be, by replaying all ops at once in the order of their stamps: slow, short, and nobody's code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from shared.domain.fields import CLAIM, FIELDS, LATTICES
from sync.merge import MAX_RIVALS
from sync.ops import HUB, encode


class Write(msgspec.Struct, frozen=True, order=True):
    """One op's value of one field."""

    stamp: int
    node: UUID
    raw: bytes
    """The value's canonical bytes."""

    @property
    def value(self) -> Any:
        return msgspec.msgpack.decode(self.raw)


class Shown(msgspec.Struct, frozen=True):
    """What a field must come to: the canonical bytes of its value, who wrote it and when, and the other values kept."""

    raw: bytes
    stamp: int
    node: UUID
    others: frozenset[bytes]


def field(entity: str, name: str, writes: Iterable[Write]) -> Shown:
    """What all ``writes`` of a field come to (at least one)."""
    policy, writes = FIELDS.get(entity, CLAIM)[name], sorted(writes)
    winner, others = writes[-1], set[bytes]()
    if policy == "write_once":
        winner = writes[0]
        others = set(list(dict.fromkeys(write.raw for write in writes if write.raw != winner.raw))[:MAX_RIVALS])
    elif policy == "lattice":
        rank = LATTICES[entity, name].rank
        furthest = max(rank(write.value) for write in writes)
        winner = next(write for write in writes if rank(write.value) == furthest)
    elif policy == "set_union":
        items = sorted({encode(item): item for write in writes for item in write.value}.items())
        winner = Write(winner.stamp, winner.node, encode([item for _, item in items]))
    elif policy == "review":
        latest = {write.node: write for write in writes}
        standing = sorted(write for write in latest.values() if HUB not in latest or write >= latest[HUB])
        winner, others = standing[-1], {write.raw for write in standing[:-1]}
    return Shown(winner.raw, winner.stamp, winner.node, frozenset(others) - {winner.raw})
