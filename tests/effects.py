"""Effects that can be counted: each is a row, written where a job or an event handler would write its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform.core import Platform
from cloud.platform.outbox import publish
from shared.events import NotificationWanted
from shared.ids import new_id

TOPIC = "notification.send"


async def affect(session: AsyncSession, what: str) -> None:
    await session.execute(text("INSERT INTO effects (what) VALUES (:what)"), {"what": what})


async def effects(platform: Platform) -> list[str]:
    """In the order in which they were written."""
    async with platform.database.begin() as session:
        return list(await session.scalars(text("SELECT what FROM effects ORDER BY id")))


async def tell(platform: Platform, what: str, subject: UUID | None = None) -> None:
    """Publish an event whose ``template`` is ``what``, in a transaction of its own."""
    async with platform.database.begin() as session:
        wanted = NotificationWanted(new_id(), new_id(), new_id(), what, {})
        await publish(session, TOPIC, wanted, subject=subject or new_id(), now=platform.clock.now())


async def count(platform: Platform, query: str) -> int:
    async with platform.database.begin() as session:
        return int(await session.scalar(text(query)) or 0)


async def eventually(platform: Platform, wanted: int, seconds: float = 20) -> list[str]:
    """The effects, as soon as there are ``wanted`` of them."""
    async with asyncio.timeout(seconds):
        while len(found := await effects(platform)) < wanted:  # noqa: ASYNC110 - another process may write them
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def beside(*lives: Awaitable[None]) -> AsyncIterator[None]:
    """Run these for as long as the block lasts."""
    tasks = [asyncio.ensure_future(life) for life in lives]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
