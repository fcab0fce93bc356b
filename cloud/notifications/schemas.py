"""What the notifications' routes show."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class Notification(msgspec.Struct, frozen=True):
    """``state`` is ``queued``, ``sent``, ``failed`` or ``skipped``; ``reason`` says why of the latter two."""

    id: UUID
    donor_id: UUID
    order_id: UUID | None
    template: str
    state: str
    reason: str | None
    created: datetime
    ended: datetime | None
