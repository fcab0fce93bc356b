"""Whether a video shows an act that an earlier one showed already, of whatever site and year."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.processing import models
from cloud.processing.schemas import Repeat
from cloud.uploads import service as uploads
from shared.evidence.act_store import answered, packed, posted, unpacked
from shared.evidence.acts import Candidate, Match, Search
from shared.evidence.fingerprint import Fingerprint

_ARRIVALS = 0x5EEB
"""The advisory lock under which videos get their numbers, so that a lower one is never seen later than a higher."""


async def keep(session: AsyncSession, video_id: UUID, print_: Fingerprint) -> int:
    """Add a video to the index of all acts; its number. One that is there stays as it is."""
    await session.execute(select(func.pg_advisory_xact_lock(_ARRIVALS)))
    new = insert(models.Print).values(video_id=video_id, marks=packed(print_)).on_conflict_do_nothing()
    number = await session.scalar(new.returning(models.Print.number))
    if number is not None:
        rows = [{"key": key, "number": number, "tick": tick} for key, tick in sorted(posted(print_))]
        if rows:
            await session.execute(insert(models.Mark).on_conflict_do_nothing(), rows)
        return number
    query = select(models.Print.number).where(models.Print.video_id == video_id)
    return (await session.execute(query)).scalar_one()


async def earlier(session: AsyncSession, video_id: UUID, number: int, print_: Fingerprint) -> list[Repeat]:
    """The videos of other sacrifices that arrived before ``number`` and show the same act, the most alike first.

    The same file is the same act, however short; else picture or sound have to be alike.
    """
    video = await uploads.video(session, video_id)
    found = {UUID(match.video): _repeat(match) for match in await _matches(session, number, print_)}
    copies = await uploads.same_file(session, video.sha256)
    before = select(models.Print.video_id).where(models.Print.video_id.in_(copies), models.Print.number < number)
    found |= {id: Repeat(id, 0.0, 0.0, False, 1.0) for id in await session.scalars(before)}
    others = {each.id for each in await uploads.videos_of(session, found) if each.sacrifice_id != video.sacrifice_id}
    return [repeat for id, repeat in found.items() if id in others]


async def proofs_of_others(session: AsyncSession, video_id: UUID) -> list[UUID]:
    """The videos, earlier and later, that show the act of this one and prove another sacrifice, or may yet do.

    One that was found wanting stood in nobody's way: when a person takes it for a proof, others may be there.
    """
    repeat = models.Repeat
    is_in_it = or_(repeat.video_id == video_id, repeat.earlier_id == video_id)
    pairs = await session.execute(select(repeat.video_id, repeat.earlier_id).where(is_in_it))
    others = {id for pair in pairs for id in pair} - {video_id}
    return sorted(others - await _wanting(session, others))


async def _wanting(session: AsyncSession, video_ids: Collection[UUID]) -> set[UUID]:
    """Those that are not authentic: by the hub's own check, and as long as that has not ended, by their box."""
    outcome = func.coalesce(models.Check.outcome, models.Verdict.outcome)
    query = (
        select(models.Check.video_id)
        .outerjoin(models.Verdict, models.Verdict.id == models.Check.verdict_id)
        .where(models.Check.video_id.in_(video_ids), outcome != "authentic")
    )
    return set(await session.scalars(query))


async def of(session: AsyncSession, video_id: UUID) -> list[Repeat]:
    """The proofs of other sacrifices that were found for a video."""
    mine = models.Repeat.video_id == video_id, ~models.Repeat.wanting
    rows = await session.scalars(select(models.Repeat).where(*mine))
    return [Repeat(row.earlier_id, row.picture, row.sound, row.mirrored, row.speed) for row in rows]


async def note(session: AsyncSession, video_id: UUID, found: Collection[Repeat]) -> None:
    """Keep what was found for a video.

    One that was found wanting proves no other sacrifice: it may well be this one, recorded under another animal by
    mistake. It is kept as that, for when a person thinks better of it.
    """
    wanting = await _wanting(session, {each.video_id for each in found})
    for each in found:
        values: dict[str, Any] = {
            "video_id": video_id, "earlier_id": each.video_id, "picture": each.picture, "sound": each.sound,
            "mirrored": each.mirrored, "speed": each.speed, "wanting": each.video_id in wanting,
        }  # fmt: skip
        await session.execute(insert(models.Repeat).values(values).on_conflict_do_nothing())


async def _matches(session: AsyncSession, number: int, print_: Fingerprint) -> list[Match]:
    search = Search(print_)
    keys = literal(sorted(set(search.keys.tolist())), ARRAY(Integer))
    mark = models.Mark
    hits = await session.execute(
        select(mark.key, mark.number, mark.tick).where(mark.key == any_(keys), mark.number < number)
    )
    rows = [tuple(row) for row in hits]
    candidates = await asyncio.to_thread(lambda: search.candidates(answered(search.keys, rows)))
    query = select(models.Print).where(models.Print.number.in_(one.video for one in candidates))
    kept = {row.number: row for row in await session.scalars(query)}
    return await asyncio.to_thread(_compared, search, candidates, kept)


def _compared(search: Search, candidates: Sequence[Candidate], kept: dict[int, models.Print]) -> list[Match]:
    olds = [(kept[one.video], one) for one in candidates]
    found = filter(None, (search.match(str(old.video_id), unpacked(old.marks), one) for old, one in olds))
    return sorted(found, key=lambda match: match.differ)


def _repeat(match: Match) -> Repeat:
    return Repeat(UUID(match.video), match.picture, match.sound, match.mirrored, match.speed)
