"""Rate limits, counted on Redis, so that all processes of the hub count together.

Each is a bucket that leaks evenly (GCRA, ITU-T I.371): ``allowance`` requests at once, one more every ``period /
allowance``. A route says ``limit="name"``; without that it is ``read`` or ``write`` by its method. Boxes are not
counted here: how many may exchange at once is decided where they do.

Without Redis, nobody's password is checked and everything else goes on.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import Any, cast

import msgspec
import structlog
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from redis.exceptions import RedisError

from cloud.platform.access import NODE, Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError

log = structlog.get_logger()


class Limit(msgspec.Struct, frozen=True):
    """``closed``: without Redis nobody passes, instead of everybody."""

    allowance: float
    period_s: float
    closed: bool = False


LIMITS = {
    "read": Limit(600, 60),
    "write": Limit(120, 60),
    "sign-in": Limit(30, 60, closed=True),
    "guess": Limit(30, 3600, closed=True),
    "letter": Limit(5, 3600),
    "none": Limit(0, 0),
}
"""``sign-in`` counts by address, and covers whatever costs a slow hash; ``guess`` counts passwords by account,
``letter`` the letters to an address that strangers ask for."""

RETRY_WITHOUT_REDIS_S = 5
PATIENCE_S = 1.0
"""One that hangs must not hold up every request."""

# KEYS: the bucket. ARGV: milliseconds between two requests, and of a full bucket. Answers how long to wait, 0 to pass.
# The key holds the moment at which the bucket will be empty, and is gone by then.
_LEAK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local step, full = tonumber(ARGV[1]), tonumber(ARGV[2])
local empty = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + step
if empty - now > full then return math.ceil(empty - now - full) end
redis.call('SET', KEYS[1], string.format('%.0f', empty), 'PX', math.ceil(empty - now))
return 0
"""


async def spend(platform: Platform, name: str, who: str) -> None:
    """Count one request of ``who`` against a limit.

    Raises ``too_many_requests`` with ``retry_after`` seconds, or ``unavailable`` where the limit is closed and Redis
    does not answer.
    """
    limit = LIMITS[name]
    allowance = limit.allowance * platform.settings.rate_factor
    step = limit.period_s * 1000 / allowance
    try:
        asked = cast(Any, platform.redis.eval(_LEAK, 1, f"rate:{name}:{who}", str(step), str(limit.period_s * 1000)))
        async with asyncio.timeout(PATIENCE_S):
            wait_ms = int(await asked)
    except (RedisError, OSError) as error:
        log.warning("limits.without_redis", limit=name, error=type(error).__name__)
        if limit.closed:
            raise QurbaniError("unavailable", "sign-in is not possible now",
                               retry_after=RETRY_WITHOUT_REDIS_S) from error
        return
    if wait_ms:
        raise QurbaniError("too_many_requests", retry_after=wait_ms / 1000)


def limit_of(handler: BaseRouteHandler, method: str) -> str:
    """The name of the limit that counts a route."""
    return str(handler.opt.get("limit") or ("read" if method in ("GET", "HEAD") else "write"))


async def limited(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of the whole application that counts every request of a person or a stranger."""
    who: Principal | None = connection.scope.get("user")
    name = limit_of(handler, connection.scope["method"])
    if name == "none" or connection.scope["method"] == "OPTIONS" or (who and who.role == NODE):
        return
    counted = address(connection) if who is None or name == "sign-in" else str(who.id)
    await spend(connection.app.state.platform, name, counted)


def address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Where a request comes from: the connection's other end, or what a trusted proxy says of it.

    An IPv6 network of 64 bits, the least that anybody is given, is one address.
    """
    host = connection.client.host if connection.client else ""
    try:
        found = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else host
