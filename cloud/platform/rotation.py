"""Changing the master key while the hub runs: every key is wrapped anew, and then the old master key is gone.

Resumable: as long as the file has several master keys, a rotation is under way, and beginning one goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select

from cloud.platform.database import Database
from cloud.platform.masters import Masters
from cloud.platform.personal import LOCK, DataKey

PAGE = 1000


async def rotate(database: Database, masters: Masters, moved: Callable[[int, int], None]) -> int:
    """How many keys were wrapped anew by this run; ``moved`` is told how many so far, and of how many."""
    newest, done = masters.begin(), 0
    async with database.begin() as session:
        old = DataKey.master != newest
        left = await session.scalar(select(func.count()).where(old)) or 0
    # What others are just changing is passed over first and waited for at last.
    for waits in (False, True):
        while page := await _rewrap(database, masters, newest, waits=waits):
            done += page
            moved(done, left)
    async with database.begin() as session:
        await session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        # From here on whoever wraps has read the file with the new key, and what they wrapped before is committed.
        if not await session.scalar(select(func.count()).where(old)):
            masters.end()
            return done
    return done + await rotate(database, masters, moved)


async def _rewrap(database: Database, masters: Masters, newest: str, *, waits: bool) -> int:
    """The next page; how many it had."""
    query = select(DataKey).where(DataKey.master != newest).order_by(DataKey.subject).limit(PAGE)
    async with database.begin() as session:
        rows = (await session.scalars(query.with_for_update(skip_locked=not waits))).all()
        for row in rows:
            row.master, row.wrapped = masters.wrap(row.subject, row.unwrapped())
    return len(rows)
