"""What notifications listen to."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.notifications import service
from cloud.platform.consumer import Handler
from shared.events import Event, NotificationWanted


async def wanted(session: AsyncSession, event: Event, data: NotificationWanted) -> None:
    await service.want(session, data, event.time)


HANDLERS = [Handler("notification.send", "notifications", wanted)]
