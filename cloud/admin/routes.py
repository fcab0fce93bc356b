"""How the hub stands, and setting it going again."""

from __future__ import annotations

from litestar import get, post
from litestar.params import JSONBody

from cloud.admin import service
from cloud.admin.reconcile import Break
from cloud.admin.schemas import TakeUp
from cloud.platform import given
from cloud.platform.queues import Standing

LOOK = ("admin", "auditor")


@get("/api/v1/queues", roles=(*LOOK, "monitor"))
async def standing(session: given.Session, now: given.Now) -> Standing:
    """What waits in each queue, for how long, and what was laid aside after its last attempt."""
    return await service.standing(session, now)


@post("/api/v1/queues/take-up", status_code=200, roles=("admin",))
async def take_up(data: JSONBody[TakeUp], session: given.Session, now: given.Now) -> dict[str, int]:
    """Try again what was laid aside. Ops of boxes have a route of their own, ``/api/v1/quarantine/redrive``."""
    return {"taken": await service.take_up(session, data, now)}


@get("/api/v1/reconciliation", roles=(*LOOK, "monitor"))
async def reconciliation(session: given.Session, groups: given.Groups, now: given.Now) -> list[Break]:
    """What does not fit together on the way from the order to the notice, each break with who mends it."""
    return await service.breaks(session, groups, now)


ROUTES = [standing, take_up, reconciliation]
