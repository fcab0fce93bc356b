"""Health: is this process alive, and does each helper answer within its time limit?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from litestar import Response, get
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from sqlalchemy import text

from cloud.platform import given, kafka, outbox
from cloud.platform.access import ANYONE
from cloud.platform.core import Platform

PATIENCE_S = 2.0


@get("/health/live", roles=(ANYONE,), limit="none")
async def live() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@get("/health/ready", roles=(ANYONE,))
async def ready(platform: given.Platform) -> Response[dict[str, str]]:
    """Each helper, asked now: ``ok`` or why not. 503 when one of them fails.

    Without Redis and Kafka the hub still takes orders and ops; ``ready`` says what stands still meanwhile.
    """
    helpers = {
        "postgres": _postgres(platform),
        "redis": platform.redis.ping(),
        "kafka": kafka.reachable(platform.settings),
    }
    states = dict(zip(helpers, await asyncio.gather(*map(_state, helpers.values())), strict=True))
    well = all(state == "ok" for state in states.values())
    return Response(states, status_code=HTTP_200_OK if well else HTTP_503_SERVICE_UNAVAILABLE)


@get("/health/backlog", roles=("admin", "auditor"))
async def backlog(platform: given.Platform) -> dict[str, int]:
    """How much is waiting: events that are not with the broker yet."""
    async with platform.database.begin() as session:
        return {"outbox": await outbox.backlog(session)}


async def _postgres(platform: Platform) -> None:
    async with platform.database.begin() as session:
        await session.execute(text("SELECT 1"))


async def _state(answer: Awaitable[object]) -> str:
    try:
        await asyncio.wait_for(answer, PATIENCE_S)
    except Exception as error:
        return type(error).__name__
    return "ok"
