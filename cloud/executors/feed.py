"""The site feed: what the boxes of a site are told, in commit order. See :mod:`sync.feed` for why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors.models import FeedHead, FeedMark, FeedRow
from cloud.platform import personal
from cloud.platform.personal import DataKey, place
from shared.errors import QurbaniError
from sync import digest, feed
from sync.messages import Ask, Change, Compared

News = tuple[str, UUID, dict[str, Any] | None]
"""An entity, a key, and the record's fields; None tells that it is gone."""


PERSONAL = ("executor", "share")
"""The entities that tell of a person."""


async def tell(session: AsyncSession, site_id: UUID, news: Sequence[News], *, about: UUID | None = None) -> None:
    """Tell the boxes of a site, in the caller's transaction; each change takes the next cursor.

    ``about`` is whose personal data they are; those of :data:`PERSONAL` cannot be told without.

    Late in the transaction, please: nobody else can tell this site anything until it ends.
    """
    if not news:
        return
    assert about or not any(entity in PERSONAL and fields for entity, _, fields in news), "whose data are these?"
    taken = update(FeedHead).where(FeedHead.site_id == site_id).values(cursor=FeedHead.cursor + len(news))
    head = (await session.execute(taken.returning(FeedHead.cursor))).scalar_one()
    cursors = range(head - len(news) + 1, head + 1)
    marks = [{"site_id": site_id, "cursor": cursor, "mark": os.urandom(feed.MARK_BYTES)} for cursor in cursors]
    await session.execute(insert(FeedMark), marks)
    sealing = await personal.key_of(session, about) if about else None
    rows = [
        {"site_id": site_id, "entity": entity, "key": key, "cursor": cursor, **_kept(
            place(FeedRow, site_id, entity, key), fields, sealing)}
        for cursor, (entity, key, fields) in zip(cursors, news, strict=True)
    ]
    row = insert(FeedRow)
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["site_id", "entity", "key"],
            set_={name: row.excluded[name] for name in ("cursor", "fields", "subject", "sealed")},
        ),
        rows,
    )


def _kept(place: bytes, fields: dict[str, Any] | None, sealing: DataKey | None) -> dict[str, Any]:
    """The columns that hold the fields: in the clear, or sealed."""
    if fields is None or sealing is None:
        return {"fields": fields, "subject": None, "sealed": None}
    return {"fields": None, "subject": sealing.subject, "sealed": sealing.seal(place, fields)}


async def page(session: AsyncSession, site_id: UUID, cursor: int, mark: bytes) -> feed.Page:
    """The next changes for a box of this site that has read up to ``cursor``, which was called ``mark``."""
    knows = mark == await _mark(session, site_id, cursor)
    since = cursor if knows else 0
    query = _rows(site_id).where(FeedRow.cursor > since).order_by(FeedRow.cursor).limit(feed.PAGE_ROWS + 1)
    found = feed.page(since, await _changes(session, query))
    return feed.Page(
        found.changes, found.cursor, found.more, await _mark(session, site_id, found.cursor), again=not knows
    )


async def since(session: AsyncSession, site_id: UUID, cursor: int, mark: bytes, entities: Sequence[str]) -> feed.Page:
    """All changes of these ``entities`` after the place (``cursor``, ``mark``), and the place up to which they go.

    Raises ``conflict`` where the hub does not know the place: it was put back since.
    """
    if mark != await _mark(session, site_id, cursor):
        raise QurbaniError("conflict", "the hub was put back since this box spoke last: it has to send a stick")
    head = await session.scalar(select(FeedHead.cursor).where(FeedHead.site_id == site_id))
    query = _rows(site_id).where(FeedRow.cursor > cursor, FeedRow.entity.in_(entities)).order_by(FeedRow.cursor)
    return feed.Page(await _changes(session, query), head or 0, more=False)


async def has_told(session: AsyncSession, site_id: UUID, entity: str, key: UUID) -> bool:
    """Whether the boxes of a site are told of this record."""
    row = await session.get(FeedRow, (site_id, entity, key))
    return row is not None and (row.fields is not None or row.sealed is not None)


async def root(session: AsyncSession, site_id: UUID) -> bytes:
    """The digest of all that the boxes of a site are told."""
    records = await _records(session, site_id)
    return digest.Tree({name: row.fields or {} for name, row in records.items()}).hash()


async def compare(session: AsyncSession, site_id: UUID, cursor: int, mark: bytes, asks: Sequence[Ask]) -> Compared:
    """Where what a box was told differs from this. Raises ``bad_input``."""
    head = await session.scalar(select(FeedHead.cursor).where(FeedHead.site_id == site_id).with_for_update())
    if (cursor, mark) != (head, await _mark(session, site_id, cursor)):
        return Compared(moved=True)
    return digest.answer(await _records(session, site_id), asks)


async def told(session: AsyncSession, site_id: UUID) -> list[Change]:
    """All that the boxes of a site are told, in the order in which it changed."""
    return await _changes(session, _rows(site_id).order_by(FeedRow.cursor))


async def _mark(session: AsyncSession, site_id: UUID, cursor: int) -> bytes | None:
    query = select(FeedMark.mark).where(FeedMark.site_id == site_id, FeedMark.cursor == cursor)
    return await session.scalar(query) if cursor else b""


async def _records(session: AsyncSession, site_id: UUID) -> dict[digest.Name, Change]:
    return {(row.entity, row.key): row for row in await told(session, site_id) if row.fields is not None}


def _rows(site_id: UUID) -> Select[Any]:
    rows = select(FeedRow.cursor, FeedRow.site_id, FeedRow.entity, FeedRow.key, FeedRow.fields, FeedRow.sealed, DataKey)
    return rows.outerjoin(DataKey, DataKey.subject == FeedRow.subject).where(FeedRow.site_id == site_id)


async def _changes(session: AsyncSession, rows: Select[Any]) -> list[Change]:
    return [Change(row.cursor, row.entity, row.key, _fields(row)) for row in await session.execute(rows)]


def _fields(row: Any) -> dict[str, Any] | None:
    if row.sealed is None:
        return row.fields
    found: dict[str, Any] = row.DataKey.open(place(FeedRow, row.site_id, row.entity, row.key), row.sealed, dict)
    return found
