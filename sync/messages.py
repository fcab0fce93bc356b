"""What a box and the hub say to each other. MessagePack on the wire; see PROTOCOL.md."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from sync.ops import VERSION, Batch

MEDIA_TYPE = "application/vnd.qurbani.sync+msgpack"


class Enrol(msgspec.Struct, frozen=True):
    """A new box shows its one-time ``code`` and its public keys (32 bytes each)."""

    code: str
    sign_key: bytes
    seal_key: bytes
    name: str
    proof: bytes
    """The signature of the new key over the code: whoever holds the code also holds the key."""


class Enrolled(msgspec.Struct, frozen=True):
    """The hub's answer: who the box is, where it stands, and the hub's own public keys."""

    node: UUID
    site: UUID
    hub_sign_key: bytes
    hub_seal_key: bytes


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One record of the site feed at ``cursor``. ``fields`` is None where the record is gone (a tombstone)."""

    cursor: int
    entity: str
    key: UUID
    fields: dict[str, Any] | None


class Parked(msgspec.Struct, frozen=True, array_like=True):
    """An op that the hub keeps but could not apply: the error's code and what happened."""

    seq: int
    code: str
    detail: str


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One round trip: the next ops (if any) and how far the box has read the site feed."""

    node: UUID
    cursor: int
    batch: Batch | None = None
    version: int = VERSION
    features: tuple[str, ...] = ()


class Exchanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """The hub's answer.

    ``acked`` is the highest contiguous ``seq`` it holds durably. ``time_ms`` is its clock. ``cursor`` is
    where the box should read on; ``more`` says that there is more to read already.
    """

    acked: int
    time_ms: int
    cursor: int
    feed: list[Change] = []
    more: bool = False
    parked: list[Parked] = []
    version: int = VERSION
    features: tuple[str, ...] = ()
