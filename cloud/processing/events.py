"""What processing listens to."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform.consumer import Handler
from cloud.processing import checks, reviews
from shared.events import Event, VideoPreprocessed, VideoProcessed


async def preprocessed(session: AsyncSession, event: Event, data: VideoPreprocessed) -> None:
    await checks.want_comparison(session, data.video_id, event.time)


async def processed(session: AsyncSession, event: Event, data: VideoProcessed) -> None:
    await reviews.open_for(session, data, event.id, event.time)


HANDLERS = [
    Handler("video.uploaded-preprocessed", "processing", preprocessed),
    Handler("video.processed-final", "processing", processed),
]
