"""Making the copies of a video."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import UUID

from cloud.platform.jobs import Context, Job
from cloud.storage.service import open_store
from cloud.uploads import archive, service
from cloud.uploads.copies import Workshop
from cloud.uploads.mover import Mover
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


async def let_go(context: Context, payload: dict[str, Any]) -> None:
    """Bring one video to the archive."""
    platform, video_id = context.platform, UUID(payload["video_id"])
    mover = Mover.open(platform.settings, context.claim.attempt)
    await archive.move_out(platform.database, mover, platform.settings, video_id, platform.clock.now())
    async with context.finish():
        pass


async def bring_back(context: Context, payload: dict[str, Any]) -> None:
    """Bring one video back, and tell those who asked for it."""
    platform, video_id = context.platform, UUID(payload["video_id"])
    mover = Mover.open(platform.settings, context.claim.attempt)
    blobs = await archive.bring_back(platform.database, mover, video_id)
    async with context.finish() as session:
        now, new_id = platform.clock.now(), platform.new_id
        await archive.returned(session, mover.hot, video_id, blobs, platform.settings, now, new_id)


async def night(context: Context, payload: dict[str, Any]) -> None:
    """Note what is to go this night; nothing where there is no archive."""
    platform = context.platform
    async with context.finish() as session:
        if platform.settings.cold_store:
            await archive.night(session, platform.settings, platform.clock.now())


JOBS = [
    Job(service.QUEUE, make_copies),
    Job(archive.OUT, let_go),
    Job(archive.BACK, bring_back),
    Job(archive.NIGHT, night, nightly=True),
]
