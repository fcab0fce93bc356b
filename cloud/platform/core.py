"""What the programs of the hub hand to their services: built once in :mod:`cloud.main`, never fetched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
from redis.asyncio import Redis

from cloud.platform import redis
from cloud.platform.bell import Bell
from cloud.platform.database import Database
from cloud.platform.generations import begin_new
from cloud.platform.keys import Keys
from cloud.platform.settings import Settings
from cloud.platform.together import Together
from shared.clock import Clock, SystemClock
from shared.ids import NewId, new_id


class Platform(msgspec.Struct, frozen=True):
    settings: Settings
    keys: Keys
    database: Database
    redis: Redis
    bell: Bell
    clock: Clock
    new_id: NewId = new_id
    together: Together = msgspec.field(default_factory=Together)


@asynccontextmanager
async def opened(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Platform]:
    """The platform of one process; closes its connections in the end."""
    bell = Bell(settings.redis_url)
    keys = Keys.load(settings)
    cache = redis.connect(settings.redis_url)
    database = Database(settings.database_url, keys=keys, ring=bell.ring, written=partial(begin_new, cache))
    try:
        yield Platform(settings, keys, database, cache, bell, clock or SystemClock())
    finally:
        await cache.aclose()
        await database.close()
        await asyncio.to_thread(bell.close)
