"""A copy for one donor of an animal that several share: no names are heard in it but theirs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.platform import jobs
from cloud.processing import models
from cloud.processing.checks import ERASED, verdict
from cloud.uploads import service as uploads
from shared.domain.verdict import ShareMatch, Stray
from shared.errors import QurbaniError

QUEUE = "videoOwn"
MARGIN_S = 0.3
"""So much is silent before and after a name: the recogniser's times are about as exact."""


async def ask(session: AsyncSession, video_id: UUID, donor_id: UUID, now: datetime) -> None:
    """A donor wants it. Asking again changes nothing. Raises ``not_found`` as watching does."""
    await uploads.permitted(session, video_id, "compressed", donor_id)
    await uploads.want_own(session, video_id, donor_id, now)
    payload = {"video_id": str(video_id), "donor_id": str(donor_id)}
    await jobs.enqueue(session, QUEUE, f"{video_id}/{donor_id}", payload, now)


async def mutes(session: AsyncSession, video_id: UUID, donor_id: UUID) -> list[tuple[float, float]]:
    """Where in a video the names of others are said, in seconds. What the check did not hear cannot be told.

    Raises ``not_found`` where there is no check to go by, or what it heard was erased with somebody whom it named.
    """
    check = await session.get(models.Check, video_id)
    if check is None or check.verdict_id is None:
        raise QurbaniError("not_found", "nobody has listened to this video")
    found = await verdict(session, check.verdict_id)
    if found.code == ERASED:
        raise QurbaniError("not_found", "nobody can tell any more where which name is said")
    video = await uploads.video(session, video_id)
    sacrifice = await executors.sacrifice(session, video.sacrifice_id)
    shares = await executors.shares_on(session, sacrifice.animal_id)
    mine = {share.name for share in shares if share.donor_id == donor_id}
    return list(_others([*found.shares, *found.strays], mine))


def _others(said: Iterable[ShareMatch | Stray], mine: set[str]) -> Iterable[tuple[float, float]]:
    for each in said:
        if each.name not in mine and each.end > each.start:
            yield max(each.start - MARGIN_S, 0.0), each.end + MARGIN_S
