"""How the hub stands: what waits, what was laid aside, to be taken up again, and what does not fit together."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import URLEncodedBody
from litestar.response import Redirect

from cloud.admin import service as admin
from cloud.apply import cases
from cloud.apply import service as ops
from cloud.pages.frame import MAX_FORM_BYTES, AnyRequest, Page, page
from cloud.platform import given
from cloud.platform.paging import Paging


class TakeUp(msgspec.Struct, frozen=True):
    """The form. An op is named by its box and ``seq``; the form that names nothing means everything."""

    what: Literal["", "event", "letter", "job", "op"] = ""
    id: UUID | None = None
    seq: int | None = None


@get("/queues", roles=("admin", "auditor"))
async def queues(request: AnyRequest, session: given.Session, now: given.Now) -> Page:
    """How long each queue is, and what stands still."""
    standing, parked = await admin.standing(session, now), await cases.quarantine(session, Paging())
    return page(request, "queues.html", standing=standing, ops=parked, now=now)


@post("/queues", roles=("admin",), request_max_body_size=MAX_FORM_BYTES)
async def take_up(data: URLEncodedBody[TakeUp], session: given.Session, now: given.Now) -> Redirect:
    """Try one thing again, or everything."""
    if data.what in ("", "op"):
        await ops.retry_parked(session, now, ops.Redrive(data.id, data.seq))
    if data.what != "op":
        await admin.take_up(session, admin.TakeUp(data.what or None, data.id), now)
    return Redirect("/queues", status_code=303)


@get("/reconciliation", roles=("admin", "auditor"))
async def reconciliation(request: AnyRequest, session: given.Session, groups: given.Groups, now: given.Now) -> Page:
    """What does not fit together, and who mends it."""
    found = await admin.breaks(session, groups, now)
    return page(request, "reconciliation.html", breaks=found, most=admin.MOST)


HANDLERS = [queues, take_up, reconciliation]
