"""What is heard about orders of which there may be a certificate."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.guests import certificates
from cloud.platform.consumer import Handler
from shared.events import Event, NotificationWanted


async def corrected(session: AsyncSession, event: Event, data: NotificationWanted) -> None:
    """A donor is told that their order is not done after all, and so is whoever checks the certificate."""
    if data.template == "order_corrected" and data.order_id:
        await certificates.withdraw(session, data.order_id, event.time)


HANDLERS = [Handler("notification.send", "guests", corrected)]
