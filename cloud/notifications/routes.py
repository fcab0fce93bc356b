"""What was told to whom."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.params import QueryParameter

from cloud.notifications import service
from cloud.notifications.schemas import Notification
from cloud.platform import given

OfOrder = Annotated[UUID | None, QueryParameter(name="order_id")]


@get("/api/v1/notifications", roles=("admin", "auditor"))
async def notifications(
    session: given.Session, paging: given.Paging, of_order: OfOrder = None
) -> list[Notification]:
    """The notifications of one order or of all, the newest first, and what became of each."""
    return await service.notifications(session, paging, of_order)


ROUTES = [notifications]
