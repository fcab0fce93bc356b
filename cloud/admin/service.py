"""The door: how the hub stands, and setting it going again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.admin.breaks import Owner
from cloud.admin.reconcile import PATIENCE, Break, reconcile
from cloud.admin.schemas import TakeUp
from cloud.platform import audit, queues
from cloud.platform.outbox import Groups
from cloud.platform.queues import Aside, Queue, Standing, Topic, standing
from shared.errors import QurbaniError

__all__ = [
    "PATIENCE",
    "Aside",
    "Break",
    "Owner",
    "Queue",
    "Standing",
    "TakeUp",
    "Topic",
    "breaks",
    "reconcile",
    "standing",
    "take_up",
]

MOST = 100


async def take_up(session: AsyncSession, which: TakeUp, now: datetime) -> int:
    """Try again what was laid aside; how much that was. Raises ``not_found``, ``bad_input`` for an id of no kind."""
    if which.id and not which.what:
        raise QurbaniError("bad_input", "say of which kind the one thing is")
    taken = await queues.take_up(session, now, which.what, which.id)
    audit.about(session, subject=which.id or "", what=which.what or "everything", taken=taken)
    return taken


async def breaks(session: AsyncSession, groups: Groups, now: datetime) -> list[Break]:
    """What does not fit together, of each kind the first :data:`MOST`."""
    return [each async for each in reconcile(session, groups, now, most=MOST)]
