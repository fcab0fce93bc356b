"""How a site is doing, by what its boxes have told: what is recorded, what stands, and what is left of the day."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.processing import models
from cloud.processing.schemas import Coaching, Progress, Repeated
from cloud.uploads import service as uploads

MOST_REASONS = 3


async def progress(session: AsyncSession, site_id: UUID, now: datetime) -> Progress:
    """Of each animal that was sacrificed, one of: verified, under review, to be done again, being checked.

    Raises ``not_found``.
    """
    plan = await executors.day(session, site_id, now)
    told = [each for each in await executors.sacrifices_at(session, site_id) if each.state != "opened"]
    videos = await uploads.videos_at(session, site_id)
    review = models.Review
    undecided = select(review.sacrifice_id).where(
        review.site_id == site_id, review.decided.is_(None), review.kind != "blind")
    waiting = set(await session.scalars(undecided))
    films: dict[UUID, list[uploads.Video]] = defaultdict(list)
    for video in videos:
        films[video.sacrifice_id].append(video)
    states = {each.animal_id: _state(each, films[each.id], waiting) for each in told}
    count = Counter(states.values())
    return Progress(
        site_id, len(states), count["verified"], count["review"], count["again"], count["checking"],
        sum(each.frozen is False for each in told), plan,
    )  # fmt: skip


def _state(sacrifice: executors.Sacrifice, films: list[uploads.Video], waiting: set[UUID]) -> str:
    if sacrifice.verified:
        return "verified"
    if sacrifice.id in waiting:
        return "review"
    if films and all(film.outcome is not None for film in films):
        return "again"
    return "checking"


async def coaching(session: AsyncSession, site_id: UUID) -> list[Coaching]:
    """How the recordings of each person at a site went, by name, as it is no ranking. Raises ``not_found``."""
    people = await executors.executors(session, site_id)
    by = {each.id: each.executor_id for each in await executors.sacrifices_at(session, site_id)}
    first: dict[UUID, uploads.Video] = {}
    ended = [video for video in await uploads.videos_at(session, site_id) if video.sacrifice_id in by]
    for video in ended:
        first.setdefault(video.sacrifice_id, video)
    query = select(models.Check.video_id, models.Check.reasons).where(
        models.Check.video_id.in_([video.id for video in ended]), models.Check.ended.is_not(None))
    maker = {video.id: by[video.sacrifice_id] for video in ended}
    objections: dict[UUID, Counter[str]] = defaultdict(Counter)
    for video_id, reasons in await session.execute(query):
        objections[maker[video_id]].update(set(reasons or ()))
    judged = [(by[id], video.outcome) for id, video in first.items() if video.outcome is not None]
    return [
        Coaching(
            person.id, person.name, sum(who == person.id for who, _ in judged),
            sum(who == person.id and outcome == "authentic" for who, outcome in judged),
            [Repeated(code, count) for code, count in objections[person.id].most_common(MOST_REASONS)],
        )
        for person in people
    ]  # fmt: skip
