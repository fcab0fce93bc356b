"""Making the copies of a video."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import UUID

from cloud.platform.jobs import Context, Job
from cloud.storage.service import open_store
from cloud.uploads import service
from cloud.uploads.copies import Workshop
from cloud.uploads.schemas import Copy, Video
from shared.errors import QurbaniError


async def make_copies(context: Context, payload: dict[str, Any]) -> None:
    """Compress one video and tell of it; an original that is of no use fails once and for all."""
    platform, video_id = context.platform, UUID(payload["video_id"])
    async with platform.database.begin() as session:
        video = await service.video(session, video_id)
    try:
        copies = await _in_a_thread(context, video)
    except QurbaniError as error:
        if error.kind.status >= 500:
            raise  # our fault, not the video's: try again
        async with context.finish() as session:
            await service.fail(session, video_id, error.code, platform.clock.now())
        return
    async with context.finish() as session:
        await service.preprocessed(session, video_id, copies, platform.clock.now())


async def _in_a_thread(context: Context, video: Video) -> list[Copy]:
    """Work beside the event loop, which goes on renewing the lease; where that is lost, the work stops."""
    stopped = threading.Event()

    def progress(done: float) -> None:
        if stopped.is_set():
            raise QurbaniError("lost_lease", f"given up at {done:.0%}")

    platform = context.platform
    workshop = Workshop(open_store(platform.settings), platform.keys.unseal, context.claim.attempt)
    try:
        return await asyncio.to_thread(workshop.make, video, progress)
    finally:
        stopped.set()


JOBS = [Job(service.QUEUE, make_copies)]
