"""Checks of videos: a box's verdict and the hub's search for the same act, whichever comes second, end one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.platform import audit, jobs, outbox, personal
from cloud.platform.personal import place
from cloud.processing import manifests, models, repeats
from cloud.processing.completion import BEFORE, EID_UNSURE, NOT_COMPARED, OUTSIDE_EID, complete
from cloud.processing.schemas import Check, HeardName, Repeat, Told
from cloud.uploads import service as uploads
from shared.clock import Reading
from shared.domain.eid import Timing, Window
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from shared.events import VideoProcessed

QUEUE = "sameAct"

ERASED = "erased"
"""The version of the rules of which a verdict says that is left without its evidence."""


async def apply_verdicts(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in verdicts as ``node`` of ``site`` wrote them: all fields of each, by its key, in their order.

    The first verdict of a video counts; later ones are kept beside it. Raises ``bad_op`` where one is not
    complete, contradicts itself, or is of no video of that site; then none is taken in.
    """
    told = {key: _read(fields) for key, fields in records.items()}
    videos = await uploads.known_videos(session, {each.video_id for each in told.values()})
    for each in told.values():
        if each.outcome != each.body.outcome:
            raise QurbaniError("bad_op", f"the verdict says {each.outcome} outside and {each.body.outcome} inside")
        if each.video_id not in videos:
            raise QurbaniError("bad_op", "the verdict is of a video that nobody told of")
        if videos[each.video_id].site_id != site:
            raise QurbaniError("bad_op", "the verdict is of a video of another site")
    checks = await _meet(session, set(videos))
    keys = await personal.keys_of(session, told)
    await session.execute(insert(models.Verdict).on_conflict_do_nothing(), [
        {
            "id": key,
            "video_id": each.video_id,
            "node": node,
            "outcome": each.outcome,
            "sealed": keys[key].seal_if_kept(place(models.Verdict, key), each.body),
            "told": now,
        }
        for key, each in told.items()
    ])
    said: dict[UUID, str] = {}
    for key, each in told.items():
        if checks[each.video_id].verdict_id is None:
            checks[each.video_id].verdict_id = key
            said[each.video_id] = each.outcome
    await uploads.say(session, said)
    await session.flush()
    for check in checks.values():
        await _end(session, check, now)


def _read(fields: Mapping[str, Any]) -> Told:
    try:
        return msgspec.convert(fields, Told)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_op", f"verdict: {error}") from error


async def want_comparison(session: AsyncSession, video_id: UUID, now: datetime) -> None:
    """The copies of a video are made: note the job that looks for its act in earlier ones."""
    await jobs.enqueue(session, QUEUE, str(video_id), {"video_id": str(video_id)}, now)


async def compared(session: AsyncSession, video_id: UUID, found: Collection[Repeat] | None, now: datetime) -> None:
    """A video was looked up among all earlier ones, of which ``found`` show the same act; None: it could not be."""
    check = (await _meet(session, {video_id}))[video_id]
    check.compared = check.compared or now
    check.comparable = found is not None
    await repeats.note(session, video_id, found or ())
    await _end(session, check, now)


async def check_of(session: AsyncSession, video_id: UUID) -> Check:
    """How the check of a video stands. Raises ``not_found``."""
    row = await session.get(models.Check, video_id)
    if row is None:
        raise QurbaniError("not_found", "there is no check of such a video")
    found = await repeats.of(session, video_id)
    return Check(video_id, row.outcome, tuple(row.reasons or ()), row.ended, tuple(found))


async def heard(session: AsyncSession, video_id: UUID, names: Collection[str]) -> list[HeardName]:
    """Those of ``names`` that were heard in a video, in the order in which they were said."""
    check = await session.get(models.Check, video_id)
    if check is None or check.verdict_id is None:
        return []
    found = await verdict(session, check.verdict_id)
    return [
        HeardName(share.name, share.start)
        for share in sorted(found.shares, key=lambda share: share.start)
        if share.heard == "heard" and share.name in names
    ]


async def naming(session: AsyncSession, sites: Collection[UUID], names: Collection[str]) -> list[UUID]:
    """The verdicts of boxes at these sites that speak of anybody called so."""
    nodes = [node.id for site in sites for node in await executors.nodes(session, site)]
    found = []
    for id in await session.scalars(select(models.Verdict.id).where(models.Verdict.node.in_(nodes))):
        told = await verdict(session, id)
        spoken = {name for share in told.shares for name in (share.name, share.which)}
        spoken |= {stray.name for stray in told.strays}
        spoken |= {name for reason in told.reasons for name in (reason.about, reason.instead)}
        if not spoken.isdisjoint(names):
            found.append(id)
    return found


async def _meet(session: AsyncSession, video_ids: set[UUID]) -> dict[UUID, models.Check]:
    """The rows at which verdict and copies meet, locked: whichever comes second sees the first."""
    new = [{"video_id": id} for id in sorted(video_ids)]
    await session.execute(insert(models.Check).on_conflict_do_nothing(), new)
    mine = models.Check.video_id.in_(video_ids)
    query = select(models.Check).where(mine).order_by(models.Check.video_id).with_for_update()
    return {row.video_id: row for row in await session.scalars(query.execution_options(populate_existing=True))}


async def _end(session: AsyncSession, check: models.Check, now: datetime) -> None:
    if check.ended or check.verdict_id is None or check.compared is None:
        return
    video = await uploads.video(session, check.video_id)
    sacrifice = await executors.sacrifice(session, video.sacrifice_id)
    names = {share.name for share in await executors.shares_on(session, sacrifice.animal_id)}
    found = [repeat.video_id for repeat in await repeats.of(session, video.id)]
    doubts = [BEFORE] if found else [] if check.comparable else [NOT_COMPARED]
    doubts += await timing_doubts(session, video.id, sacrifice)
    outcome, reasons = complete(await verdict(session, check.verdict_id), names, doubts)
    check.outcome, check.reasons, check.ended = outcome, list(reasons), now
    await audit.record(
        session, "processing.end", now=now, subject=video.id, verdict=outcome, reasons=list(reasons),
        earlier=list(map(str, found)),
    )  # fmt: skip
    result = VideoProcessed(video.id, video.sacrifice_id, outcome, reasons, tuple(found))
    subject = await uploads.subject_of(session, video.sacrifice_id)
    await outbox.publish(session, "video.processed-final", result, subject=subject, now=now)


async def timing_doubts(session: AsyncSession, video_id: UUID, sacrifice: executors.Sacrifice) -> list[str]:
    """Whether it was Eid at the site, where somebody has said when that is."""
    site = await executors.site(session, sacrifice.site_id)
    if site.eid_begins is None or site.eid_ends is None:
        return []
    captured = await manifests.captured(session, video_id)
    timing: Timing = "unsure"
    if captured:
        opened = msgspec.convert(sacrifice.opened, Reading)
        filmed = Reading(captured.wall_ms, captured.mono_ms, captured.boot)
        timing = Window(site.eid_begins, site.eid_ends).timing_of(opened, filmed, captured.uncertain_ms)
    return {"inside": [], "outside": [OUTSIDE_EID], "unsure": [EID_UNSURE]}[timing]


async def verdict(session: AsyncSession, verdict_id: UUID) -> Verdict:
    """What a box found, by the id of its verdict. Where somebody whom it names was erased, its outcome is left."""
    row = await session.get_one(models.Verdict, verdict_id)
    key = await personal.key_of(session, verdict_id)
    return key.open(place(models.Verdict, verdict_id), row.sealed, Verdict, partial(Verdict, row.outcome, ERASED))
