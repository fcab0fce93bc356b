"""What those who run the hub ask for."""

from __future__ import annotations

from uuid import UUID

import msgspec

from cloud.platform.queues import What


class TakeUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to try again of what was laid aside: everything, all of a kind, or one thing."""

    what: What | None = None
    id: UUID | None = None
