"""Videos on their way: record and bytes arrive, copies are made, the check ends, people watch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import service as auth
from cloud.executors import service as executors
from cloud.platform import audit, jobs, outbox
from cloud.platform.access import Principal
from cloud.platform.core import Platform
from cloud.platform.paging import Paging, page
from cloud.platform.settings import Settings
from cloud.uploads import links, models, schemas
from cloud.uploads.archive import ask
from cloud.uploads.archive import place as place  # for other services
from cloud.uploads.copies import Workshop as Workshop
from shared.clock import to_ms
from shared.domain.sacrifice import VIDEO
from shared.errors import QurbaniError
from shared.events import NotificationWanted, VideoArrived, VideoPreprocessed, VideoProcessed, VideoReviewed
from shared.ids import NewId

Ahead, Place = schemas.Ahead, schemas.Place
T = TypeVar("T", schemas.Told, schemas.ToldCopy, schemas.ToldPhoto)

QUEUE = "videoUpload"
LINKS = "video-links/1"
"""The purpose of the key that signs them."""
AHEAD = {"poster": ("still", "image/jpeg"), "preview": ("preview", "video/mp4")}
"""What a box makes of a video to go ahead of it, as the hub calls it, and what that is."""


# From the boxes


async def apply_videos(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in records of videos as ``node`` of ``site`` wrote them: all fields of each, by its key.

    Their fields are written once, so the same records again change nothing. Raises ``bad_op`` where one is not
    complete or belongs to no sacrifice at that site; then none is taken in.
    """
    told = {key: _read(records[key], schemas.Told) for key in sorted(records)}
    sites = await executors.sacrifice_sites(session, {each.sacrifice_id for each in told.values()})
    for each in told.values():
        if each.sacrifice_id not in sites:
            raise QurbaniError("bad_op", "the video is of a sacrifice that nobody told of")
        if sites[each.sacrifice_id] != site:
            raise QurbaniError("bad_op", "the video is of a sacrifice at another site")
    blobs = await _meet(session, {each.blob_id for each in told.values()})
    await session.execute(insert(models.Video).on_conflict_do_nothing(), [
        {
            "id": key,
            "sacrifice_id": each.sacrifice_id,
            "site_id": site,
            "node": node,
            "sha256": each.sha256,
            "size": each.size,
            "blob_id": each.blob_id,
            "media_type": each.media_type,
            "captured": each.captured,
            "created": now,
            "changed": now,
        }
        for key, each in told.items()
    ])
    for key, each in told.items():
        if blobs[each.blob_id].arrived is not None:
            await _arrive(session, await _locked(session, key), now)


def _read(fields: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_op", f"video: {error}") from error


async def apply_copies(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in records of files that go ahead of videos: all fields of each, by its key. The first of each kind counts.

    Raises ``bad_op`` where one is not complete or its video is not of that site; then none is taken in.
    """
    told = [_read(fields, schemas.ToldCopy) for fields in records.values()]
    videos = await known_videos(session, {each.video_id for each in told})
    if any(each.video_id not in videos or videos[each.video_id].site_id != site for each in told):
        raise QurbaniError("bad_op", "the copy is of a video that nobody told of at that site")
    await session.execute(insert(models.Copy).on_conflict_do_nothing(), [
        {
            "video_id": each.video_id, "variant": AHEAD[each.variant][0], "blob_id": each.blob_id,
            "sha256": each.sha256, "size": each.size, "media_type": AHEAD[each.variant][1], "created": now,
        }
        for each in told
    ])  # fmt: skip


async def apply_photos(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in records of photos: all fields of each, by its key. Raises ``bad_op`` where one is not complete."""
    told = {key: _read(fields, schemas.ToldPhoto) for key, fields in records.items()}
    await session.execute(insert(models.Photo).on_conflict_do_nothing(), [
        {
            "id": key, "of": each.of, "site_id": site, "blob_id": each.blob_id, "sha256": each.sha256,
            "size": each.size, "media_type": each.media_type, "created": now,
        }
        for key, each in told.items()
    ])  # fmt: skip


async def photos(session: AsyncSession, of: UUID) -> list[schemas.Photo]:
    """Those of an animal or a hide, oldest first."""
    arrived = models.Blob.arrived.is_not(None)
    query = select(models.Photo, arrived).outerjoin(models.Blob, models.Blob.id == models.Photo.blob_id)
    rows = await session.execute(query.where(models.Photo.of == of).order_by(models.Photo.created, models.Photo.id))
    return [schemas.Photo(row.id, row.of, row.size, row.media_type, bool(is_here)) for row, is_here in rows]


async def photo(session: AsyncSession, photo_id: UUID) -> tuple[str, str, int]:
    """Blob, media type and size of one whose bytes are here. Raises ``not_found``."""
    row = await session.get(models.Photo, photo_id)
    if row is None or not await has_arrived(session, row.blob_id):
        raise QurbaniError("not_found", "there is no such photo here")
    return row.blob_id, row.media_type, row.size


async def say(session: AsyncSession, outcomes: Mapping[UUID, str]) -> None:
    """A box's checks of these videos ended so."""
    query = select(models.Video).where(models.Video.id.in_(outcomes)).order_by(models.Video.id).with_for_update()
    for video in await session.scalars(query.execution_options(populate_existing=True)):
        video.said = outcomes[video.id]


async def blob_arrived(session: AsyncSession, blob_id: str, site_id: UUID, size: int, now: datetime) -> None:
    """The bytes of a sealed file are in the store, whole. Saying so again changes nothing."""
    blob = (await _meet(session, {blob_id}))[blob_id]
    if blob.arrived is None:
        blob.arrived, blob.site_id, blob.size = now, site_id, size
    query = select(models.Video).where(models.Video.blob_id == blob_id).order_by(models.Video.id).with_for_update()
    for video in await session.scalars(query):
        await _arrive(session, video, now)
    ahead = select(models.Video.sacrifice_id).join(models.Copy, models.Copy.video_id == models.Video.id)
    of_this = models.Copy.blob_id == blob_id, models.Copy.variant.in_([name for name, _ in AHEAD.values()])
    for sacrifice_id in (await session.scalars(ahead.where(*of_this))).all():
        await executors.tell_donors(session, sacrifice_id, now)


async def has_arrived(session: AsyncSession, blob_id: str) -> bool:
    """Whether the bytes of a sealed original are in the store, whichever way they came."""
    query = select(models.Blob.id).where(models.Blob.id == blob_id, models.Blob.arrived.is_not(None))
    return await session.scalar(query) is not None


async def admit(session: AsyncSession, site_id: UUID, size: int, settings: Settings) -> None:
    """Whether there is room for a sealed file of a site. Raises ``over_quota``.

    What is under way does not count yet, so several boxes at once may go beyond by what each sends.
    """
    of_site = func.sum(models.Blob.size).filter(models.Blob.site_id == site_id)
    taken = select(func.coalesce(func.sum(models.Blob.size), 0), func.coalesce(of_site, 0)).where(models.Blob.hot)
    total, of_this = (await session.execute(taken)).one()
    for quota, used in ((settings.quota_bytes, total), (settings.site_quota_bytes, of_this)):
        if quota and used + size > quota:
            raise QurbaniError("over_quota", f"{used} of {quota} bytes are taken, and this has {size}")


async def _meet(session: AsyncSession, blob_ids: set[str]) -> dict[str, models.Blob]:
    """The rows at which record and bytes of a video meet, locked: whichever comes second sees the first."""
    await session.execute(insert(models.Blob).on_conflict_do_nothing(), [{"id": id} for id in sorted(blob_ids)])
    query = select(models.Blob).where(models.Blob.id.in_(blob_ids)).order_by(models.Blob.id).with_for_update()
    return {row.id: row for row in await session.scalars(query.execution_options(populate_existing=True))}


async def _arrive(session: AsyncSession, video: models.Video, now: datetime) -> None:
    if video.state != VIDEO.first:
        return
    _move(video, "arrived", now)
    arrived = VideoArrived(video.id, video.sacrifice_id, video.site_id, video.blob_id, video.sha256)
    subject = await subject_of(session, video.sacrifice_id)
    await outbox.publish(session, "video.initial-upload", arrived, subject=subject, now=now)


# The copies


async def want_copies(session: AsyncSession, video_id: UUID, now: datetime) -> None:
    """Note the job that makes the copies of a video."""
    await jobs.enqueue(session, QUEUE, str(video_id), {"video_id": str(video_id)}, now)


async def video(session: AsyncSession, video_id: UUID) -> schemas.Video:
    """Raises ``not_found``."""
    return _video(await _get(session, video_id))


async def known_videos(session: AsyncSession, video_ids: Collection[UUID]) -> dict[UUID, schemas.Video]:
    """Those of these videos that are known."""
    rows = await session.scalars(select(models.Video).where(models.Video.id.in_(video_ids)))
    return {row.id: _video(row) for row in rows}


async def videos(session: AsyncSession, asked: Paging, state: str | None = None) -> list[schemas.Video]:
    """A page of the videos, in one state or in any, the newest first."""
    query = select(models.Video)
    if state is not None:
        query = query.where(models.Video.state == state)
    return [_video(row) for row, in await page(session, query, [models.Video.id], asked, newest_first=True)]


async def videos_at(session: AsyncSession, site_id: UUID) -> list[schemas.Video]:
    """All that were told of at a site, in the order in which they were made, as far as the hub can tell."""
    query = select(models.Video).where(models.Video.site_id == site_id)
    rows = await session.scalars(query.order_by(models.Video.created, models.Video.id))
    return [_video(row) for row in rows]


async def videos_of(session: AsyncSession, ids: Iterable[UUID]) -> list[schemas.Video]:
    """Those of ``ids`` that there are."""
    return [_video(row) for row in await session.scalars(select(models.Video).where(models.Video.id.in_(list(ids))))]


async def same_file(session: AsyncSession, sha256: str) -> list[UUID]:
    """The videos that are the same file, byte for byte."""
    return list(await session.scalars(select(models.Video.id).where(models.Video.sha256 == sha256)))


async def preprocessed(
    session: AsyncSession, video_id: UUID, copies: Iterable[schemas.Copy], now: datetime
) -> None:
    """The copies of a video are in the store."""
    row = await _locked(session, video_id)
    _move(row, "preprocessed", now)
    by_variant = {copy.variant: copy for copy in copies}
    for copy in by_variant.values():
        session.add(models.Copy(video_id=video_id, created=now, **msgspec.structs.asdict(copy)))
        made = insert(models.Blob).values(id=copy.blob_id, arrived=now, site_id=row.site_id, size=copy.size)
        await session.execute(made.on_conflict_do_nothing())
    ready = VideoPreprocessed(
        video_id, row.sacrifice_id, by_variant["compressed"].blob_id, by_variant["poster"].blob_id
    )
    subject = await subject_of(session, row.sacrifice_id)
    await outbox.publish(session, "video.uploaded-preprocessed", ready, subject=subject, now=now)


async def fail(session: AsyncSession, video_id: UUID, reason: str, now: datetime) -> None:
    """The original of a video is of no use; ``reason`` is the code of the error that says why."""
    row = await _locked(session, video_id)
    _move(row, "failed", now)
    row.reason = reason


# The end


async def processed(session: AsyncSession, result: VideoProcessed, now: datetime, new_id: NewId) -> None:
    """The check of a video has ended. An authentic one verifies its sacrifice, and whoever waited for that is told."""
    row = await _locked(session, result.video_id)
    _move(row, "processed", now)
    await _conclude(session, row, result.outcome, now, new_id)


async def reviewed(session: AsyncSession, result: VideoReviewed, now: datetime, new_id: NewId) -> None:
    """People have decided. Raises ``unavailable`` as long as it has not been heard that the check has ended."""
    row = await _locked(session, result.video_id)
    if row.state != "processed":
        raise QurbaniError("unavailable", "the end of the check comes first")
    row.remedy, row.changed = result.note or None, now
    outcome = {"approved": "authentic", "rejected": "rejected"}.get(result.decision, row.outcome)
    await _conclude(session, row, outcome, now, new_id)


async def _conclude(
    session: AsyncSession, row: models.Video, outcome: str | None, now: datetime, new_id: NewId
) -> None:
    row.outcome = outcome
    await session.flush()
    if outcome == "authentic":
        await _want(session, await executors.verify(session, row.sacrifice_id, now), "verified", now, new_id)
    elif await authentic_video(session, [row.sacrifice_id]) is None:
        await _want(session, await executors.reverse(session, row.sacrifice_id, now), "corrected", now, new_id)
    await _tell(session, row)  # at last, as it holds up whatever else the site is told


async def _want(
    session: AsyncSession, orders: Iterable[executors.Order], what: str, now: datetime, new_id: NewId
) -> None:
    """Each of these orders was verified, and each time once; what turned out otherwise is corrected as often."""
    for order in orders:
        facts = {"occasion": str(order.times("verified"))}
        wanted = NotificationWanted(new_id(), order.donor_id, order.id, f"order_{what}", facts)
        await outbox.publish(session, "notification.send", wanted, subject=order.donor_id, now=now)


# Watching


async def watchable(session: AsyncSession, video_id: UUID, variant: str, donor_id: UUID | None) -> schemas.Copy:
    """A file of a video that can be read now, as :func:`permitted` says. Raises ``archived`` for one that lies cold."""
    copy = await permitted(session, video_id, variant, donor_id)
    blob = await session.get(models.Blob, copy.blob_id)
    if blob is not None and not blob.hot:
        raise QurbaniError("archived")
    return copy


async def permitted(session: AsyncSession, video_id: UUID, variant: str, donor_id: UUID | None) -> schemas.Copy:
    """A file of a video, for a donor (``donor_id``) or for the staff (None), wherever it lies.

    A donor gets the copies of authentic videos in which there is a share of theirs, and until the video is checked
    here, what went ahead of one that the box found authentic. Raises ``not_found``, alike whether there is no such file
    or it is not for this donor.
    """
    row = await _get(session, video_id)
    copy = await _file(session, video_id, variant, donor_id)
    may_see = donor_id is None or await _is_for_donor(session, row, variant, donor_id)
    if copy is None or not may_see or not await _is_here(session, copy):
        raise QurbaniError("not_found", "there is no such video")
    return _copy(copy)


def donor(who: Principal) -> UUID | None:
    """For whom a file has to be; None for the staff."""
    return who.id if who.role == "donor" else None


async def _file(
    session: AsyncSession, video_id: UUID, variant: str, donor_id: UUID | None
) -> models.Copy | models.OwnCopy | None:
    if variant != "own":
        return await session.get(models.Copy, (video_id, variant))
    own = await session.get(models.OwnCopy, (video_id, donor_id)) if donor_id else None
    return own if own and own.blob_id else None


async def want_own(session: AsyncSession, video_id: UUID, donor_id: UUID, now: datetime) -> None:
    """A donor wants a copy in which no names are heard but theirs."""
    own = insert(models.OwnCopy).values(video_id=video_id, donor_id=donor_id, created=now)
    await session.execute(own.on_conflict_do_nothing())


async def own_made(session: AsyncSession, video_id: UUID, donor_id: UUID, copy: schemas.Copy, now: datetime) -> None:
    """That copy is in the store."""
    row = await session.get_one(models.OwnCopy, (video_id, donor_id))
    row.blob_id, row.sha256, row.size = copy.blob_id, copy.sha256, copy.size
    row.width, row.height = copy.width, copy.height
    video = await _get(session, video_id)
    made = insert(models.Blob).values(id=copy.blob_id, arrived=now, site_id=video.site_id, size=copy.size)
    await session.execute(made.on_conflict_do_nothing())
    await executors.tell_donors(session, video.sacrifice_id, now)


async def own_copy(session: AsyncSession, video_id: UUID, donor_id: UUID) -> str:
    """How far a donor's own copy is: ``none``, ``asked`` or ``made``."""
    row = await session.get(models.OwnCopy, (video_id, donor_id))
    return "none" if row is None else "made" if row.blob_id else "asked"


async def has(session: AsyncSession, video_id: UUID, variant: str) -> bool:
    """Whether a video has such a file, wherever it lies."""
    return await session.get(models.Copy, (video_id, variant)) is not None


async def link(
    session: AsyncSession, platform: Platform, video_id: UUID, variant: str, who: Principal, now: datetime
) -> schemas.Link:
    """A link to a file that ``who`` may watch. Raises ``not_found``."""
    await permitted(session, video_id, variant, donor(who))
    if who.session is None:
        raise QurbaniError("not_signed_in")
    path, until = links.sign(platform.keys.derive(LINKS), f"/media/{video_id}/{variant}", who.session, now)
    return schemas.Link(platform.settings.base_url + path, until)


async def follow(session: AsyncSession, platform: Platform, target: bytes, now: datetime) -> tuple[Principal, str]:
    """Who made the link ``target``, and how long its answer may be kept. Raises ``dead_link``."""
    session_id, until = links.check(platform.keys.derive(LINKS), target, now)
    who = await auth.holder(platform, session_id)
    if who is None:
        raise QurbaniError("dead_link", "whoever made the link has signed out")
    audit.about(session, actor=who.id, role=who.role)
    return who, links.caching(until, now)


async def place_for(session: AsyncSession, video_id: UUID, who: Principal) -> schemas.Place:
    """Where a video lies that ``who`` may watch. Raises ``not_found``."""
    await permitted(session, video_id, "compressed", donor(who))
    return await place(session, video_id)


async def ask_back(
    session: AsyncSession, video_id: UUID, who: Principal, now: datetime, new_id: NewId
) -> schemas.Place:
    """Have a video brought back from the archive. Raises ``not_found`` for whoever may not watch it."""
    await permitted(session, video_id, "compressed", donor(who))
    return await ask(session, video_id, who.id, now, new_id)


async def opened(session: AsyncSession, video_id: UUID, donor_id: UUID, now: datetime) -> None:
    """A donor opens a video that they may watch: this is what lets its site say that it was seen."""
    view = insert(models.View).values(video_id=video_id, donor_id=donor_id, first=now).on_conflict_do_nothing()
    if (await session.execute(view.returning(models.View.first))).first() is not None:
        row = await _locked(session, video_id)
        if await _seen(session, video_id) == now:
            await _tell(session, row)


async def seen_by(session: AsyncSession, video_id: UUID, donor_id: UUID) -> datetime | None:
    """When a donor first opened a video."""
    view = await session.get(models.View, (video_id, donor_id))
    return view and view.first


async def say_of(session: AsyncSession, video_id: UUID, text: str, now: datetime) -> None:
    """Say something to whoever recorded a video; it shows on the tablets of the site. Raises ``not_found``."""
    await _get(session, video_id)
    row = await _locked(session, video_id)
    row.feedback, row.changed = text.strip() or None, now
    await session.flush()
    await _tell(session, row)


async def _tell(session: AsyncSession, row: models.Video) -> None:
    """Tell the site what has become of its video, and nothing of who watched it."""
    seen = await _seen(session, row.id)
    fields = {"outcome": row.outcome} | ({"remedy": row.remedy} if row.remedy else {})
    fields |= {"feedback": row.feedback} if row.feedback else {}
    fields |= {"seen_ms": to_ms(seen)} if seen else {}
    await executors.feed_tell(session, row.site_id, [("film", row.id, fields)])


async def _seen(session: AsyncSession, video_id: UUID) -> datetime | None:
    query = select(func.min(models.View.first)).where(models.View.video_id == video_id)
    found: datetime | None = await session.scalar(query)
    return found


async def authentic_video(session: AsyncSession, sacrifice_ids: Iterable[UUID]) -> schemas.Video | None:
    """The newest video that proves one of these sacrifices; None where there is none (yet)."""
    query = (
        select(models.Video)
        .where(models.Video.sacrifice_id.in_(list(sacrifice_ids)), models.Video.outcome == "authentic")
        .order_by(models.Video.id.desc())
        .limit(1)
    )
    row = await session.scalar(query)
    return None if row is None else _video(row)


async def best_video(session: AsyncSession, sacrifice_id: UUID) -> UUID | None:
    """The one that proves a sacrifice, or else the newest that is known; None where there is none."""
    good = models.Video.outcome == "authentic"
    query = select(models.Video.id).where(models.Video.sacrifice_id == sacrifice_id)
    found: UUID | None = await session.scalar(query.order_by(good.desc().nulls_last(), models.Video.id.desc()).limit(1))
    return found


async def ahead_of(session: AsyncSession, sacrifice_ids: Iterable[UUID]) -> schemas.Ahead | None:
    """What has arrived ahead of the newest video of these sacrifices that is still to be checked here, if anything."""
    query = (
        select(models.Copy.video_id, models.Copy.variant)
        .join(models.Video, models.Video.id == models.Copy.video_id)
        .join(models.Blob, models.Blob.id == models.Copy.blob_id)
        .where(
            models.Video.sacrifice_id.in_(list(sacrifice_ids)), models.Video.outcome.is_(None),
            models.Video.said == "authentic", models.Video.state != "failed",
            models.Copy.variant.in_(("still", "preview")), models.Blob.arrived.is_not(None),
        )
        .order_by(models.Video.id.desc())
    )  # fmt: skip
    rows = (await session.execute(query)).all()
    here = {row.variant for row in rows if row.video_id == rows[0].video_id}
    return schemas.Ahead(rows[0].video_id, "still" in here, "preview" in here) if rows else None


async def donors_in(session: AsyncSession, sacrifice_id: UUID) -> set[UUID]:
    """The donors who have a share of the animal."""
    sacrifice = await executors.sacrifice(session, sacrifice_id)
    return {share.donor_id for share in await executors.shares_on(session, sacrifice.animal_id)}


async def subject_of(session: AsyncSession, sacrifice_id: UUID) -> UUID:
    """What the events of a sacrifice are ordered by: its donor, or the sacrifice where there are several or none."""
    donors = await donors_in(session, sacrifice_id)
    return donors.pop() if len(donors) == 1 else sacrifice_id


async def _is_for_donor(session: AsyncSession, row: models.Video, variant: str, donor_id: UUID) -> bool:
    is_ahead = variant in ("still", "preview")
    shown = (row.outcome or row.said if is_ahead else row.outcome) == "authentic" and variant != "original"
    return shown and row.state != "failed" and donor_id in await donors_in(session, row.sacrifice_id)


async def _is_here(session: AsyncSession, copy: models.Copy | models.OwnCopy) -> bool:
    """What the hub made, it has; what a box announced may still be on its way."""
    return copy.variant not in ("still", "preview") or await has_arrived(session, copy.blob_id)


def _move(row: models.Video, to: str, now: datetime) -> None:
    row.state = VIDEO.move(row.state, to)
    row.changed = now


async def _get(session: AsyncSession, video_id: UUID) -> models.Video:
    row = await session.get(models.Video, video_id)
    if row is None:
        raise QurbaniError("not_found", "there is no such video")
    return row


async def _locked(session: AsyncSession, video_id: UUID) -> models.Video:
    return await session.get_one(models.Video, video_id, with_for_update=True, populate_existing=True)


def _video(row: models.Video) -> schemas.Video:
    return schemas.Video(
        row.id, row.sacrifice_id, row.site_id, row.sha256, row.size, row.blob_id, row.media_type, row.state, row.reason,
        row.outcome,
    )  # fmt: skip


def _copy(row: models.Copy | models.OwnCopy) -> schemas.Copy:
    return schemas.Copy(
        row.variant, row.blob_id, row.sha256, row.size, row.media_type, row.width, row.height
    )
