"""The port to whoever takes cards for us. What is paid by hand needs none: an admin books it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from cloud.donors.schemas import Paid


class Bill(msgspec.Struct, frozen=True):
    """What is to be paid next of an order, after ``paid`` of it has come; ``back`` is the page to return to."""

    order_id: UUID
    reference: str
    minor: int
    currency: str
    paid: int
    back: str


class Till(msgspec.Struct, frozen=True):
    """A page of the gateway where one amount can be paid."""

    id: str
    url: str


class Call(msgspec.Struct, frozen=True):
    """What the gateway tells: ``paid`` where it has money for an order, None for anything else."""

    id: str
    order_id: UUID | None = None
    paid: Paid | None = None


class Gateway(Protocol):
    """Every method raises ``unavailable`` where the gateway does not answer, ``bad_answer`` where it refuses."""

    async def open_till(self, bill: Bill) -> Till:
        """Where to send the donor. Asking again with the same bill opens the same till."""
        ...

    async def pay_back(self, payment: Paid) -> None:
        """Refund a payment in full, once however often this is asked."""
        ...

    def read_call(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Call:
        """Raises ``bad_signature`` for what is not the gateway's, or was sent before."""
        ...
