"""The site feed: what the boxes of a site are told, in commit order. See :mod:`sync.feed` for why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors.models import FeedHead, FeedRow
from sync import feed
from sync.messages import Change

News = tuple[str, UUID, dict[str, Any] | None]
"""An entity, a key, and the record's fields; None tells that it is gone."""


async def tell(session: AsyncSession, site_id: UUID, news: Sequence[News]) -> None:
    """Tell the boxes of a site, in the caller's transaction; each change takes the next cursor.

    Late in the transaction, please: nobody else can tell this site anything until it ends.
    """
    taken = update(FeedHead).where(FeedHead.site_id == site_id).values(cursor=FeedHead.cursor + len(news))
    head = (await session.execute(taken.returning(FeedHead.cursor))).scalar_one()
    rows = [
        {"site_id": site_id, "entity": entity, "key": key, "cursor": cursor, "fields": fields}
        for cursor, (entity, key, fields) in enumerate(news, head - len(news) + 1)
    ]
    row = insert(FeedRow)
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["site_id", "entity", "key"],
            set_={"cursor": row.excluded.cursor, "fields": row.excluded.fields},
        ),
        rows,
    )


async def page(session: AsyncSession, site_id: UUID, since: int) -> feed.Page:
    """The next changes for a box of this site that has read up to ``since``."""
    rows = await session.execute(
        select(FeedRow.cursor, FeedRow.entity, FeedRow.key, FeedRow.fields)
        .where(FeedRow.site_id == site_id, FeedRow.cursor > since)
        .order_by(FeedRow.cursor)
        .limit(feed.PAGE_ROWS + 1)
    )
    return feed.page(since, [Change(*row) for row in rows])
