"""Health: is this process alive, and does each helper answer within its own time limit?

The helpers are asked at most once a second, however often somebody asks here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import unquote, urlsplit

import httpx
import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import text

from cloud.platform import given, kafka, outbox
from cloud.platform.access import ANYONE
from cloud.platform.core import Platform
from cloud.storage.service import open_store

NEEDED = ("postgres", "redis", "kafka")
"""Without which a process is not ready. Recording goes on without the latter two: boxes and tablets wait for nobody."""

FRESH_S = 1.0


class Helper(msgspec.Struct, frozen=True):
    """How a helper answered: ``ok`` or why not, and after how long."""

    state: str
    took_ms: float


class Health(msgspec.Struct, frozen=True):
    """``degraded`` where a helper does not answer."""

    status: Literal["ok", "degraded"]
    helpers: dict[str, Helper]


class Pulse:
    """What the helpers last answered; those who ask at once wait for the same answer."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._last: dict[str, Helper] = {}

    async def helpers(self) -> dict[str, Helper]:
        async with self._lock:
            if time.monotonic() >= self._until:
                self._last = await _ask_each(self._platform)
                self._until = time.monotonic() + FRESH_S
            return self._last


@get("/health/live", roles=(ANYONE,), limit="none")
async def live() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@get("/health/ready", roles=(ANYONE,), limit="none")
async def ready(pulse: NamedDependency[Pulse]) -> Response[dict[str, str]]:
    """Each helper that is needed: ``ok`` or why not. 503 when one of them fails.

    Without Redis and Kafka the hub still takes orders and ops; ``ready`` says what stands still meanwhile.
    """
    helpers = await pulse.helpers()
    states = {name: helpers[name].state for name in NEEDED}
    well = all(state == "ok" for state in states.values())
    return Response(states, status_code=HTTP_200_OK if well else HTTP_503_SERVICE_UNAVAILABLE)


@get("/health", roles=(ANYONE,), limit="none")
async def health(pulse: NamedDependency[Pulse]) -> Response[Health]:
    """Every helper that is configured, and how long each took. 503 when one of them fails."""
    helpers = await pulse.helpers()
    well = all(helper.state == "ok" for helper in helpers.values())
    status = HTTP_200_OK if well else HTTP_503_SERVICE_UNAVAILABLE
    return Response(Health("ok" if well else "degraded", helpers), status_code=status)


@get("/health/backlog", roles=("admin", "auditor", "monitor"))
async def backlog(platform: given.Platform) -> dict[str, int]:
    """How much is waiting: events that are not with the broker yet."""
    async with platform.database.begin() as session:
        return {"outbox": await outbox.backlog(session)}


async def _postgres(platform: Platform) -> None:
    async with platform.database.begin() as session:
        await session.execute(text("SELECT 1"))


async def _redis(platform: Platform) -> None:
    await platform.redis.ping()


async def _kafka(platform: Platform) -> None:
    await kafka.reachable(platform.settings)


async def _storage(platform: Platform) -> None:
    await asyncio.to_thread(open_store(platform.settings).check)


async def _mqtt(platform: Platform) -> None:
    await asyncio.to_thread(_knock, platform.settings.mqtt_url)


async def _elasticsearch(platform: Platform) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(platform.settings.elasticsearch_url.rstrip("/") + "/_cluster/health")
        if answer.raise_for_status().json().get("status") == "red":
            raise ConnectionError("the cluster is red")


Check = Callable[[Platform], Awaitable[None]]

_CHECKS: dict[str, tuple[Check, float]] = {
    "postgres": (_postgres, 2), "redis": (_redis, 2), "kafka": (_kafka, 3), "storage": (_storage, 3),
    "mqtt": (_mqtt, 2), "elasticsearch": (_elasticsearch, 2),
}  # fmt: skip
"""What is asked of each, and for how many seconds its answer is waited for."""


async def _ask_each(platform: Platform) -> dict[str, Helper]:
    configured = {"mqtt": platform.settings.mqtt_url, "elasticsearch": platform.settings.elasticsearch_url}
    chosen = {name: check for name, check in _CHECKS.items() if configured.get(name, True)}
    answers = await asyncio.gather(*(_ask(check(platform), limit) for check, limit in chosen.values()))
    return dict(zip(chosen, answers, strict=True))


async def _ask(answer: Awaitable[None], limit_s: float) -> Helper:
    began, state = time.monotonic(), "ok"
    try:
        await asyncio.wait_for(answer, limit_s)
    except Exception as error:
        state = type(error).__name__
    return Helper(state, round((time.monotonic() - began) * 1000, 1))


def _knock(url: str) -> None:
    """Return if the broker lets us in. Blocks, for two seconds at most."""
    at = urlsplit(url)
    is_secure = at.scheme == "mqtts"
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect_timeout = limit = _CHECKS["mqtt"][1]
    if at.username:
        client.username_pw_set(unquote(at.username), unquote(at.password or ""))
    if is_secure:
        client.tls_set()
    until = time.monotonic() + limit
    client.connect(at.hostname or "", at.port or (8883 if is_secure else 1883))
    try:
        while not client.is_connected():
            if client.loop(0.1) or time.monotonic() > until:
                raise ConnectionError("the broker does not let us in")
    finally:
        client.disconnect()


ROUTES = [live, ready, health, backlog]
