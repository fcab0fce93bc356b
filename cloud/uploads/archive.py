"""The archive: which videos lie in the cold store, which are to go there, and which somebody wants back.

A sealed file is in the hot store (``hot``), in the cold one (``cold``, from when its copy there had been read back and
was right), or in both. It leaves the hot store only after the cold copy has been proved, so there is one proved copy
always. What has once been cold stays in the cold store: to bring it back is to copy it, to let it go again to delete.
"""

from __future__ import annotations

import asyncio
import calendar
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.platform import audit, jobs, outbox
from cloud.platform.database import Database
from cloud.platform.settings import Settings
from cloud.storage.port import Store
from cloud.uploads.models import Blob, Copy, Restore, Video
from cloud.uploads.mover import Mover
from cloud.uploads.schemas import Due, Place
from shared.errors import QurbaniError
from shared.events import NotificationWanted
from shared.ids import NewId

OUT, BACK, NIGHT = "videoArchive", "videoRestore", "archiveNight"
COLD = ("original", "compressed", "messenger")
"""The files of a video that go; pictures and the ten seconds are small, and stay."""


def due(created: datetime, zone: tzinfo, months: int) -> datetime:
    """When what was created then is to go: when the day begins, at the site, that has the same number ``months`` later.

    Where that month is too short, its last day counts.
    """
    day = created.astimezone(zone).date()
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    then = date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
    return datetime(then.year, then.month, then.day, tzinfo=zone).astimezone(UTC)


# What lies where


async def place(session: AsyncSession, video_id: UUID) -> Place:
    """Where a video lies, and whether it is on its way."""
    video = await _get(session, video_id)
    is_cold = await session.scalar(select(Blob.id).where(_of(video_id), ~Blob.hot).limit(1))
    open_ = select(Restore.id).where(Restore.video_id == video_id, Restore.done.is_(None)).limit(1)
    if is_cold is None:
        return Place("hot", video.hot_until, video.held)
    return Place("returning" if await session.scalar(open_) else "cold", None, video.held)


async def hold(session: AsyncSession, video_id: UUID, reason: str | None) -> Place:
    """Keep a video at hand, and say why; None lets it go again. One that is in the archive stays there."""
    (await _get(session, video_id, lock=True)).held = reason
    return await place(session, video_id)


async def leaving(
    session: AsyncSession, settings: Settings, now: datetime, among: ColumnElement[bool] | None = None
) -> list[Due]:
    """The videos that are to go to the cold store by ``now``, the oldest first; of all, or ``among`` some."""
    zones = {site.id: ZoneInfo(site.timezone) for site in await executors.sites(session)}
    coarse = now - timedelta(days=28 * settings.archive_months)
    files = select(Copy.video_id).join(Blob, Blob.id == Copy.blob_id).where(Copy.variant.in_(COLD), Blob.hot)
    query = select(Video).where(Video.id.in_(files), Video.created <= coarse, _may_go(now)).order_by(Video.created)
    rows = list(await session.scalars(query if among is None else query.where(among)))
    found = [(row, due(row.created, zones[row.site_id], settings.archive_months)) for row in rows]
    return [Due(row.id, row.site_id, row.created, then, row.size) for row, then in found if then <= now]


def _may_go(now: datetime) -> ColumnElement[bool]:
    """Whose check has ended, that nobody holds, and nobody has asked for lately."""
    ended = Video.outcome.in_(("authentic", "rejected"))
    return ended & Video.held.is_(None) & (Video.hot_until.is_(None) | (Video.hot_until <= now))


# Going


async def move_out(database: Database, mover: Mover, settings: Settings, video_id: UUID, now: datetime) -> int:
    """Bring a video to the cold store; how many of its files went. Safe to repeat, and to be killed at any moment.

    Raises ``damaged`` where what lies in the hot store is not what it should be; then it stays.
    """
    async with database.begin() as session:
        blobs = list(await session.scalars(select(Blob.id).where(_of(video_id)).order_by(Blob.id)))
    for blob_id in blobs:
        if await _is(database, blob_id, Blob.hot):
            await asyncio.to_thread(mover.copy_out, blob_id)
            async with database.begin() as session:
                await session.execute(update(Blob).where(Blob.id == blob_id, Blob.cold.is_(None)).values(cold=now))
    async with database.begin() as session:
        gone = await _let_go(session, blobs, settings, now)
    for blob_id in blobs:
        await _remove(database, mover.hot, blob_id)
    return len(gone)


async def _let_go(session: AsyncSession, blobs: Sequence[str], settings: Settings, now: datetime) -> list[str]:
    """From now on nobody reads these from the hot store; those that another video still needs stay."""
    held = await _locked(session, blobs)
    uses = await session.execute(select(Copy.blob_id, Copy.video_id).where(Copy.blob_id.in_(blobs)))
    users = [(row.blob_id, row.video_id) for row in uses]
    among = Video.id.in_({video_id for _, video_id in users})
    going = {each.video_id for each in await leaving(session, settings, now, among)}
    needed = {blob_id for blob_id, video_id in users if video_id not in going}
    gone = [blob for blob in held if blob.hot and blob.cold is not None and blob.id not in needed]
    for blob in gone:
        blob.hot = False
    return [blob.id for blob in gone]


async def _remove(database: Database, hot: Store, blob_id: str) -> None:
    """Under a lock, so that nobody brings it back meanwhile."""
    async with database.begin() as session:
        for blob in await _locked(session, [blob_id]):
            if not blob.hot:
                await asyncio.to_thread(hot.delete, blob_id)


# Coming back


async def ask(session: AsyncSession, video_id: UUID, asker: UUID, now: datetime, new_id: NewId) -> Place:
    """Somebody who may watch a video wants it back. Asking again, or for one that is here, changes nothing."""
    await _get(session, video_id, lock=True)
    if (await place(session, video_id)).place == "cold":
        id = new_id()
        session.add(Restore(id=id, video_id=video_id, asked_by=asker, asked=now))
        await jobs.enqueue(session, BACK, str(id), {"video_id": str(video_id)}, now)
    return await place(session, video_id)


async def bring_back(database: Database, mover: Mover, video_id: UUID) -> list[str]:
    """Copy the files of a video to the hot store again; those that were copied."""
    async with database.begin() as session:
        blobs = list(await session.scalars(select(Blob.id).where(_of(video_id), ~Blob.hot).order_by(Blob.id)))
    for blob_id in blobs:
        await asyncio.to_thread(mover.copy_back, blob_id)
    return blobs


async def returned(
    session: AsyncSession, hot: Store, video_id: UUID, blobs: Sequence[str], settings: Settings, now: datetime,
    new_id: NewId,
) -> None:
    """A video can be watched again for some days; donors who asked for it are told.

    Raises ``unavailable`` where somebody removed a file between the copy and this.
    """
    for blob in await _locked(session, blobs):
        if not await asyncio.to_thread(hot.has, blob.id):
            raise QurbaniError("unavailable", f"{blob.id} was removed meanwhile")
        blob.hot = True
    video = await _get(session, video_id, lock=True)
    video.hot_until = now + timedelta(days=settings.restored_days)
    open_ = select(Restore).where(Restore.video_id == video_id, Restore.done.is_(None)).with_for_update()
    for restore in await session.scalars(open_):
        restore.done = now
        await _tell(session, restore, video.sacrifice_id, now, new_id)


async def _tell(session: AsyncSession, restore: Restore, sacrifice_id: UUID, now: datetime, new_id: NewId) -> None:
    sacrifice = await executors.sacrifice(session, sacrifice_id)
    shares = await executors.shares_on(session, sacrifice.animal_id)
    for order_id in sorted({share.order_id for share in shares if share.donor_id == restore.asked_by}):
        facts = {"occasion": str(restore.id)}
        wanted = NotificationWanted(new_id(), restore.asked_by, order_id, "video_restored", facts)
        await outbox.publish(session, "notification.send", wanted, subject=restore.asked_by, now=now)


# Every night


async def night(session: AsyncSession, settings: Settings, now: datetime) -> None:
    """Note the jobs of a night: what is to go, and what was asked for and has not come back."""
    name = now.date().isoformat()
    going = await leaving(session, settings, now)
    for each in going:
        await jobs.enqueue(session, OUT, f"{each.video_id}/{name}", {"video_id": str(each.video_id)}, now)
    stuck = select(Restore.video_id).where(Restore.done.is_(None), Restore.asked < now - timedelta(hours=1))
    for video_id in set(await session.scalars(stuck)):
        await jobs.enqueue(session, BACK, f"{video_id}/{name}", {"video_id": str(video_id)}, now)
    await audit.record_each(session, "uploads.archive", [each.video_id for each in going], now=now)


def _of(video_id: UUID) -> ColumnElement[bool]:
    """The files of a video that may go, and are here."""
    files = select(Copy.blob_id).where(Copy.video_id == video_id, Copy.variant.in_(COLD))
    return Blob.id.in_(files) & Blob.arrived.is_not(None)


async def _is(database: Database, blob_id: str, what: ColumnElement[bool]) -> bool:
    async with database.begin() as session:
        return bool(await session.scalar(select(what).where(Blob.id == blob_id)))


async def _locked(session: AsyncSession, blobs: Collection[str]) -> list[Blob]:
    query = select(Blob).where(Blob.id.in_(blobs)).order_by(Blob.id).with_for_update()
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def _get(session: AsyncSession, video_id: UUID, *, lock: bool = False) -> Video:
    row = await session.get(Video, video_id, with_for_update=lock, populate_existing=lock)
    if row is None:
        raise QurbaniError("not_found", "there is no such video")
    return row
