"""What the protocol asks of whoever stores things: small required cores, one for each end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from sync.messages import Change, Parked
from sync.ops import Batch


class Position(msgspec.Struct, frozen=True):
    """Where a box stands: its newest op, the newest one the hub acknowledged, and its place in the site feed."""

    node: UUID
    head: int
    acked: int
    cursor: int


class Outgoing(msgspec.Struct, frozen=True):
    """A sealed blob that the hub does not have yet. ``size`` is in sealed bytes; ``kind`` says what it is."""

    blob_id: str
    size: int
    kind: str
    record: UUID


class NodeStore(Protocol):
    """The box's side. Every method is one transaction and safe to repeat."""

    def position(self) -> Position: ...

    def batch(self, after: int, max_ops: int, max_bytes: int) -> Batch | None:
        """The ops with ``seq > after``, as many as fit (at least one), or None when there are none."""
        ...

    def acknowledge(self, acked: int, parked: Sequence[Parked]) -> None:
        """The hub holds everything up to ``acked``; ``parked`` are those it could not apply."""
        ...

    def apply(self, changes: Sequence[Change], cursor: int) -> None:
        """Take in a page of the site feed and move the cursor, both or neither."""
        ...

    def heard(self, time_ms: int) -> None:
        """The hub's clock says ``time_ms``: stamps from now on lie after it, whatever the wall clock says."""
        ...

    def outgoing(self) -> Sequence[Outgoing]:
        """Sealed blobs to send, most wanted first."""
        ...

    def sent(self, blob_id: str) -> None:
        """The hub has the whole blob and has checked its hash."""
        ...


class Blobs(Protocol):
    """The sealed bytes on the box."""

    def read(self, blob_id: str, offset: int, size: int) -> bytes:
        """``size`` sealed bytes from ``offset`` on, fewer only at the end of the blob."""
        ...
