"""The site feed: what the boxes of a site are told, in commit order. See :mod:`sync.feed` for why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors.models import FeedHead, FeedMark, FeedRow
from shared.errors import QurbaniError
from sync import digest, feed
from sync.messages import Ask, Change, Compared

News = tuple[str, UUID, dict[str, Any] | None]
"""An entity, a key, and the record's fields; None tells that it is gone."""


async def tell(session: AsyncSession, site_id: UUID, news: Sequence[News]) -> None:
    """Tell the boxes of a site, in the caller's transaction; each change takes the next cursor.

    Late in the transaction, please: nobody else can tell this site anything until it ends.
    """
    if not news:
        return
    taken = update(FeedHead).where(FeedHead.site_id == site_id).values(cursor=FeedHead.cursor + len(news))
    head = (await session.execute(taken.returning(FeedHead.cursor))).scalar_one()
    cursors = range(head - len(news) + 1, head + 1)
    marks = [{"site_id": site_id, "cursor": cursor, "mark": os.urandom(feed.MARK_BYTES)} for cursor in cursors]
    await session.execute(insert(FeedMark), marks)
    rows = [
        {"site_id": site_id, "entity": entity, "key": key, "cursor": cursor, "fields": fields}
        for cursor, (entity, key, fields) in zip(cursors, news, strict=True)
    ]
    row = insert(FeedRow)
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["site_id", "entity", "key"],
            set_={"cursor": row.excluded.cursor, "fields": row.excluded.fields},
        ),
        rows,
    )


async def page(session: AsyncSession, site_id: UUID, cursor: int, mark: bytes) -> feed.Page:
    """The next changes for a box of this site that has read up to ``cursor``, which was called ``mark``."""
    knows = mark == await _mark(session, site_id, cursor)
    since = cursor if knows else 0
    rows = await session.execute(
        select(FeedRow.cursor, FeedRow.entity, FeedRow.key, FeedRow.fields)
        .where(FeedRow.site_id == site_id, FeedRow.cursor > since)
        .order_by(FeedRow.cursor)
        .limit(feed.PAGE_ROWS + 1)
    )
    found = feed.page(since, [Change(*row) for row in rows])
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
    rows = await session.execute(
        select(FeedRow.cursor, FeedRow.entity, FeedRow.key, FeedRow.fields)
        .where(FeedRow.site_id == site_id, FeedRow.cursor > cursor, FeedRow.entity.in_(entities))
        .order_by(FeedRow.cursor)
    )
    return feed.Page([Change(*row) for row in rows], head or 0, more=False)


async def has_told(session: AsyncSession, site_id: UUID, entity: str, key: UUID) -> bool:
    """Whether the boxes of a site are told of this record."""
    row = await session.get(FeedRow, (site_id, entity, key))
    return row is not None and row.fields is not None


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


async def _mark(session: AsyncSession, site_id: UUID, cursor: int) -> bytes | None:
    query = select(FeedMark.mark).where(FeedMark.site_id == site_id, FeedMark.cursor == cursor)
    return await session.scalar(query) if cursor else b""


async def _records(session: AsyncSession, site_id: UUID) -> dict[digest.Name, Change]:
    query = select(FeedRow.cursor, FeedRow.entity, FeedRow.key, FeedRow.fields).where(FeedRow.site_id == site_id)
    rows = [Change(*row) for row in await session.execute(query)]
    return {(row.entity, row.key): row for row in rows if row.fields is not None}
