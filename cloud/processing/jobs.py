"""Looking every video up among all earlier ones."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from cloud.platform.jobs import Context, Job
from cloud.processing import checks, own, repeats
from cloud.storage.service import Store, open_store
from cloud.uploads import service as uploads
from shared.crypto import UnsealKey
from shared.errors import QurbaniError
from shared.evidence import sandbox
from shared.evidence.decode import Event, Problem
from shared.evidence.fingerprint import FIT, Fingerprint, fingerprint
from shared.sealed import SealedReader


async def look_back(context: Context, payload: dict[str, Any]) -> None:
    """Keep what a video is known by, and end its check with the earlier ones that show the same act."""
    platform, video_id = context.platform, UUID(payload["video_id"])
    async with platform.database.begin() as session:
        copy = await uploads.watchable(session, video_id, "compressed", None)
    try:
        store = open_store(platform.settings)
        print_ = await asyncio.to_thread(_printed, store, platform.keys.unseal, copy.blob_id)
    except QurbaniError as error:
        if error.kind.status >= 500:
            raise  # our fault, not the video's: try again
        async with context.finish() as session:
            await checks.compared(session, video_id, None, platform.clock.now())
        return
    async with platform.database.begin() as session:
        number = await repeats.keep(session, video_id, print_)
    async with platform.database.begin() as session:
        found = await repeats.earlier(session, video_id, number, print_)
    async with context.finish() as session:
        await checks.compared(session, video_id, found, platform.clock.now())


def _printed(store: Store, key: UnsealKey, blob_id: str) -> Fingerprint:
    """Raises the reason why a copy cannot be read to its end."""
    events: list[Event] = []
    with store.open(blob_id) as sealed, SealedReader(sealed, key) as video:
        for event in sandbox.decode(video, FIT):
            if isinstance(event, Problem):
                raise QurbaniError(event.code, event.detail)
            events.append(event)
    return fingerprint(events)


async def make_own(context: Context, payload: dict[str, Any]) -> None:
    """Make the copy of one donor."""
    platform, video_id, donor_id = context.platform, UUID(payload["video_id"]), UUID(payload["donor_id"])
    async with platform.database.begin() as session:
        video = await uploads.video(session, video_id)
        watchable = await uploads.watchable(session, video_id, "compressed", donor_id)
        mutes = await own.mutes(session, video_id, donor_id)
    workshop = uploads.Workshop(open_store(platform.settings), platform.keys.unseal, context.claim.attempt)
    copy = await asyncio.to_thread(workshop.own, video, watchable, donor_id, mutes)
    async with context.finish() as session:
        await uploads.own_made(session, video_id, donor_id, copy, platform.clock.now())


JOBS = [Job(checks.QUEUE, look_back), Job(own.QUEUE, make_own)]
