"""What uploads listens to."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform.consumer import Handler
from cloud.uploads import service
from shared.events import Event, VideoArrived, VideoProcessed, VideoReviewed
from shared.ids import new_id


async def arrived(session: AsyncSession, event: Event, data: VideoArrived) -> None:
    await service.want_copies(session, data.video_id, event.time)


async def processed(session: AsyncSession, event: Event, data: VideoProcessed) -> None:
    await service.processed(session, data, event.time, new_id)


async def reviewed(session: AsyncSession, event: Event, data: VideoReviewed) -> None:
    await service.reviewed(session, data, event.time, new_id)


HANDLERS = [
    Handler("video.initial-upload", "uploads", arrived),
    Handler("video.processed-final", "uploads", processed),
    Handler("video.reviewed", "uploads", reviewed),
]
