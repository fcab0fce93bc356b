"""What the protocol asks of whoever stores things: small required cores, one for each end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from shared.crypto import SealKey, SigningKey
from sync.feed import Page
from sync.messages import Change, Parked
from sync.ops import Batch


class Position(msgspec.Struct, frozen=True):
    """Where a box stands: its newest op, the newest one the hub acknowledged, and its place in the site feed."""

    node: UUID
    head: int
    acked: int
    cursor: int
    mark: bytes = b""


class Heir(msgspec.Struct, frozen=True):
    """Keys for another identity: the private one to sign with, the public one to seal for."""

    sign: SigningKey
    seal: SealKey


class Outgoing(msgspec.Struct, frozen=True):
    """A sealed blob that the hub does not have yet. ``size`` is in sealed bytes; ``kind`` says what it is."""

    blob_id: str
    size: int
    kind: str
    record: UUID
    due_ms: int = 0
    """When it should be at the hub: see :mod:`sync.schedule`."""


class NodeStore(Protocol):
    """The box's side. Every method is one transaction and safe to repeat."""

    def position(self) -> Position: ...

    def batch(self, after: int, max_ops: int, max_bytes: int) -> Batch | None:
        """The ops with ``seq > after``, as many as fit (at least one), or None when there are none."""
        ...

    def hash_at(self, seq: int) -> bytes:
        """The hash of an op of the box's chain; GENESIS at 0."""
        ...

    def acknowledge(self, acked: int, parked: Sequence[Parked], *, whole: bool = False) -> None:
        """The hub holds everything up to ``acked``, which is less than before when it was put back.

        ``parked`` are ops that it could not apply: all that there are where it is ``whole``, else further ones.
        """
        ...

    def apply(self, page: Page) -> None:
        """Take in a page of the site feed and move the cursor, both or neither.

        A page that says ``again`` begins a whole reading: what is there stays until the page without ``more``
        ends the reading, and then everything goes that did not come along. At the end of the feed, a blob that
        was sent and has no receipt there is to be sent again: the hub was put back before it was told of it.
        """
        ...

    def records(self) -> Mapping[tuple[str, UUID], Mapping[str, Any]]:
        """What the site feed has brought and not taken away, whether this version knows the entity or not."""
        ...

    def repair(self, changes: Sequence[Change]) -> None:
        """Records that were found to differ from the hub's, as they should be; the cursor stays."""
        ...

    def heir(self) -> Heir:
        """The keys of the identity to take next: durable when this returns, and the same until it is taken."""
        ...

    def take_over(self, node: UUID, common: int) -> None:
        """From now on this box is ``node`` and signs with its heir's key.

        Its ops up to ``common`` are the former identity's and the hub's. Those after it become the first ops of
        the new chain, in their order, none of them acknowledged. What was signed before is kept.
        """
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
