"""What processing listens to."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform.consumer import Handler
from cloud.processing import service
from shared.events import Event, VideoPreprocessed


async def preprocessed(session: AsyncSession, event: Event, data: VideoPreprocessed) -> None:
    await service.want_comparison(session, data.video_id, event.time)


HANDLERS = [Handler("video.uploaded-preprocessed", "processing", preprocessed)]
