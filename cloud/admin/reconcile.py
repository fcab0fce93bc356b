"""One report of everything that does not fit together, each break with who mends it. It changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.admin.breaks import RULES, Owner
from cloud.platform.outbox import Groups

PATIENCE = timedelta(days=1)
"""For what takes its time: a box without a network, a broker that is down, a person."""
TAKEN_OVER = timedelta(seconds=30)
"""After the end of a lease, another worker has the job."""


class Break(msgspec.Struct, frozen=True):
    """``subject`` is the id of what is broken; ``kind`` is one of :data:`cloud.admin.breaks.RULES`."""

    kind: str
    owner: Owner
    subject: str
    detail: str


async def reconcile(
    session: AsyncSession, groups: Groups, now: datetime, patience: timedelta = PATIENCE, most: int | None = None
) -> AsyncIterator[Break]:
    """Every break, or at most ``most`` of each kind. They come from the database a few at a time."""
    pairs = [(topic, group) for topic, members in groups.items() for group in members]
    known = {
        "now": now, "settled": now - patience, "overdue": now - TAKEN_OVER, "topics": [topic for topic, _ in pairs],
        "groups": [group for _, group in pairs], "most": most,
    }  # fmt: skip
    for rule in RULES:
        query = text(f"SELECT subject::text, detail FROM ({rule.query}) found LIMIT :most")  # noqa: S608 - our own
        needed = {name: value for name, value in known.items() if f":{name}" in query.text}
        async for row in await session.stream(query, needed):
            yield Break(rule.kind, rule.owner, row.subject, row.detail or "")
