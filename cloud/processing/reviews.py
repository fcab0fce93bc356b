"""Reviews: people decide what checks could not, and now and then see again, blindly, what checks decided.

One person approves or asks for a remedy; to reject takes two, and to approve an act that proves another sacrifice, too.
Who looks at a video has it to themselves for a while, so that two people do not do the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import case as when
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.platform import audit, outbox
from cloud.processing import checks, models, overrides, repeats
from cloud.processing.completion import EID_UNSURE, OUTSIDE_EID
from cloud.processing.schemas import Case, Decision, Doubt, Doubted, Figures, NewVote, Say, Vote, Waiting
from cloud.uploads import service as uploads
from shared.errors import QurbaniError
from shared.events import VideoProcessed, VideoReviewed

BLIND = 0.05
"""The share of the checks that decided which people see again without knowing how."""
LEASE = timedelta(minutes=5)
TWO = 2
DECISIONS: dict[Say, Decision] = {"approve": "approved", "reject": "rejected", "remedy": "remedy"}
OUTCOMES = {"approved": "authentic", "rejected": "rejected", "remedy": "review"}


async def open_for(session: AsyncSession, result: VideoProcessed, event_id: UUID, now: datetime) -> None:
    """The check of a video has ended: people look at it where it could not decide, and at a few others."""
    if result.outcome != "review" and not _is_drawn(event_id):
        return
    video = await uploads.video(session, result.video_id)
    site = await executors.site(session, video.site_id)
    row = {
        "video_id": video.id, "sacrifice_id": video.sacrifice_id, "site_id": video.site_id,
        "kind": "flagged" if result.outcome == "review" else "blind", "automatic": result.outcome, "opened": now,
        "deadline": site.eid_ends,
    }  # fmt: skip
    await session.execute(insert(models.Review).values(row).on_conflict_do_nothing())


def _is_drawn(event_id: UUID) -> bool:
    """By the event's id, which the hub has drawn: no box can choose, and the same event again draws the same."""
    return int.from_bytes(hashlib.sha256(event_id.bytes).digest()[:8]) < BLIND * 2**64


async def waiting(session: AsyncSession, reader: UUID, now: datetime) -> list[Waiting]:
    """The open reviews: first those whose site has the least time left, then the longest waiting, then the blind ones.

    Without those of sacrifices that another video has proved meanwhile. ``taken`` are those that somebody else has
    open, or ``reader`` has voted on.
    """
    rows = await _open(session)
    these = models.Vote.video_id.in_(row.video_id for row in rows)
    votes: dict[UUID, dict[UUID, Say]] = defaultdict(dict)
    said = select(models.Vote.video_id, models.Vote.user_id, models.Vote.vote).where(these)
    for video_id, user_id, vote in await session.execute(said):
        votes[video_id][user_id] = vote
    return [
        Waiting(
            row.video_id, row.site_id, row.kind, row.opened, row.deadline, len(votes[row.video_id]),
            reader in votes[row.video_id] or _is_taken(row, reader, now), "reject" in votes[row.video_id].values(),
        )
        for row in rows
    ]  # fmt: skip


async def dispute(session: AsyncSession, video_id: UUID, reason: Doubt, donor_id: UUID | None, now: datetime) -> None:
    """Somebody doubts a film that was found good: people look at it again, before all others at its site.

    A donor may doubt what they may watch. Raises ``not_found``, or ``bad_transition`` for one that was not found good.
    """
    await uploads.watchable(session, video_id, "compressed", donor_id)
    check = await session.get(models.Check, video_id, with_for_update=True)
    if check is None or check.outcome != "authentic":
        raise QurbaniError("bad_transition", "the video was not found good", state=check and check.outcome)
    row = await session.get(models.Review, video_id, with_for_update=True, populate_existing=True)
    if row is None:
        video = await uploads.video(session, video_id)
        row = models.Review(video_id=video_id, sacrifice_id=video.sacrifice_id, site_id=video.site_id)
        row.automatic, row.deadline = "authentic", (await executors.site(session, video.site_id)).eid_ends
        session.add(row)
    elif row.kind == "disputed" and row.decided is None:
        return
    row.kind, row.reason, row.opened, row.decided, row.decision = "disputed", reason, now, None, None
    await session.execute(delete(models.Vote).where(models.Vote.video_id == video_id))  # the audit knows them


async def doubt(session: AsyncSession, video_id: UUID, donor_id: UUID | None) -> Doubted:
    """What came of a doubt in a film with a share of a donor's own. Raises ``not_found``."""
    row = await session.get(models.Review, video_id, populate_existing=True)
    if row is None or row.kind != "disputed":
        raise QurbaniError("not_found", "nobody has doubted such a film")
    if donor_id is not None and donor_id not in await uploads.donors_in(session, row.sacrifice_id):
        raise QurbaniError("not_found", "nobody has doubted such a film")
    said = select(models.Vote.vote, models.Vote.note).where(models.Vote.video_id == video_id).order_by(models.Vote.at)
    notes = [note for vote, note in await session.execute(said) if DECISIONS[vote] == row.decision]
    stands = None if row.decision is None else row.decision == "approved"
    return Doubted(msgspec.convert(row.reason, Doubt), row.opened, stands, row.decided, notes[-1] if notes else "")


async def take_next(session: AsyncSession, reader: UUID, now: datetime) -> UUID | None:
    """The next review for ``reader``, who now has it to themselves for :data:`LEASE`; None where none is left."""
    for each in await waiting(session, reader, now):
        if not each.taken and await take(session, each.video_id, reader, now):
            return each.video_id
    return None


async def take(session: AsyncSession, video_id: UUID, reader: UUID, now: datetime) -> bool:
    """Whether ``reader`` has the review to themselves now: nobody else does."""
    review = models.Review
    free = or_(review.taken_until.is_(None), review.taken_until < now, review.taken_by == reader)
    mine = update(review).where(review.video_id == video_id, free).values(taken_by=reader, taken_until=now + LEASE)
    return (await session.execute(mine.returning(review.video_id))).first() is not None


async def figures(session: AsyncSession) -> Figures:
    """How the reviews stand."""
    rows = await _open(session)
    review = models.Review
    agrees = when((review.automatic == "authentic", "approved"), else_="rejected") == review.decision
    query = select(func.count(), func.count().filter(agrees)).where(review.kind == "blind", review.decided.is_not(None))
    blind, agreed = (await session.execute(query)).one()
    return Figures(len(rows), min((row.opened for row in rows), default=None), blind, agreed)


async def of(session: AsyncSession, video_id: UUID) -> Case:
    """The case of a video. Raises ``not_found``."""
    row = await session.get(models.Review, video_id, populate_existing=True)
    if row is None:
        raise QurbaniError("not_found", "there is no review of such a video")
    votes = [
        Vote(vote.user_id, vote.vote, vote.note, vote.at)
        for vote in await session.scalars(
            select(models.Vote).where(models.Vote.video_id == video_id).order_by(models.Vote.at)
        )
    ]
    sacrifice = await executors.sacrifice(session, row.sacrifice_id)
    claimed = [share.name for share in await executors.shares_on(session, sacrifice.animal_id)]
    case = Case(
        video_id,
        row.sacrifice_id,
        row.site_id,
        row.kind,
        row.opened,
        row.deadline,
        claimed,
        await _needed(session, row),
        votes,
        row.decision,
        row.reason,
    )
    return case if row.kind == "blind" and row.decided is None else await _with_evidence(session, case)


async def _with_evidence(session: AsyncSession, case: Case) -> Case:
    check = await session.get_one(models.Check, case.video_id)
    assert check.verdict_id is not None, "only what has ended is reviewed"
    verdict = await checks.verdict(session, check.verdict_id)
    known = {reason.code for reason in verdict.reasons}
    return msgspec.structs.replace(
        case, reasons=verdict.reasons, shares=verdict.shares, frames=verdict.frames, words=verdict.words,
        doubts=tuple(code for code in check.reasons or () if code not in known),
        earlier=tuple(each.video_id for each in await repeats.of(session, case.video_id)),
    )  # fmt: skip


async def was_approved(session: AsyncSession, video_id: UUID) -> bool:
    """Whether people found a video good where no check could, or somebody doubted it."""
    row = await session.get(models.Review, video_id)
    return row is not None and row.kind != "blind" and row.decision == "approved"


async def vote(session: AsyncSession, video_id: UUID, reader: UUID, new: NewVote, now: datetime) -> Case:
    """Say what a video shows. A person may change their mind until it is decided; the same again changes nothing.

    Raises ``not_found``, ``conflict`` where it has been decided otherwise, ``bad_input`` for a remedy that says not
    what to do, or for what has been checked already.
    """
    row = await session.get(models.Review, video_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise QurbaniError("not_found", "there is no review of such a video")
    held = await session.get(models.Vote, (video_id, reader))
    if row.decided is not None:
        if held and (held.vote, held.note) == (new.vote, new.note):
            return await of(session, video_id)
        raise QurbaniError("conflict", f"it was {row.decision} meanwhile")
    if new.vote == "remedy" and (row.kind != "flagged" or not new.note.strip()):
        raise QurbaniError("bad_input", "a remedy says what the site is to do, of a video that no check could judge")
    sacrifice = await executors.sacrifice(session, row.sacrifice_id)
    untimely = {*await _objections(session, video_id), *await checks.timing_doubts(session, video_id, sacrifice)}
    if new.vote == "approve" and not new.note.strip() and OUTSIDE_EID in untimely:
        raise QurbaniError("bad_input", "say why a sacrifice outside the days and hours of Eid counts")
    said = {"vote": new.vote, "note": new.note, "at": now}
    one = insert(models.Vote).values(video_id=video_id, user_id=reader, **said)
    await session.execute(one.on_conflict_do_update(index_elements=["video_id", "user_id"], set_=said))
    audit.about(session, vote=new.vote)
    row.taken_by = row.taken_until = None
    votes = Counter(await session.scalars(select(models.Vote.vote).where(models.Vote.video_id == video_id)))
    if votes[new.vote] >= (await _needed(session, row))[new.vote]:
        await _decide(session, row, DECISIONS[new.vote], new.note, now)
        if new.vote == "approve" and row.kind != "blind" and untimely & {OUTSIDE_EID, EID_UNSURE}:
            await overrides.keep(session, row.sacrifice_id, new.note, reader, now)
    await session.flush()
    return await of(session, video_id)


async def _decide(session: AsyncSession, row: models.Review, decision: Decision, note: str, now: datetime) -> None:
    row.decided, row.decision = now, decision
    await audit.record(session, "processing.decide", now=now, subject=row.video_id, decision=decision, kind=row.kind)
    if row.kind == "blind" and not (row.automatic == "authentic" and decision == "rejected"):
        return  # it tells how good the checks are; only what donors may have seen wrongly is taken back
    check = await session.get_one(models.Check, row.video_id)
    check.outcome = OUTCOMES[decision]
    subject = await uploads.subject_of(session, row.sacrifice_id)
    result = VideoReviewed(row.video_id, row.sacrifice_id, decision, note if decision == "remedy" else "")
    await outbox.publish(session, "video.reviewed", result, subject=subject, now=now)


async def _needed(session: AsyncSession, row: models.Review) -> dict[Say, int]:
    """How many people each decision takes. What takes back a word that was given to a donor takes two."""
    if row.kind == "blind":
        return {"approve": 1, "reject": TWO if row.automatic == "authentic" else 1}
    if row.kind == "disputed":
        return {"approve": 1, "reject": TWO}
    sold = await repeats.proofs_of_others(session, row.video_id)
    return {"approve": TWO if sold else 1, "reject": TWO, "remedy": 1}


async def _objections(session: AsyncSession, video_id: UUID) -> Sequence[str]:
    return await session.scalar(select(models.Check.reasons).where(models.Check.video_id == video_id)) or ()


async def _open(session: AsyncSession) -> Sequence[models.Review]:
    review = models.Review
    order = (review.kind == "blind", review.deadline.asc().nulls_last(), review.opened, review.video_id)
    rows = (await session.scalars(select(review).where(review.decided.is_(None)).order_by(*order))).all()
    proved = await executors.verified(session, {row.sacrifice_id for row in rows if row.kind == "flagged"})
    return [row for row in rows if row.kind != "flagged" or row.sacrifice_id not in proved]


def _is_taken(row: models.Review, reader: UUID, now: datetime) -> bool:
    return row.taken_until is not None and row.taken_until >= now and row.taken_by != reader
