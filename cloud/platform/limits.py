"""Rate limits, counted on Redis, so that all processes of the hub count together.

Each is a bucket that leaks evenly (GCRA, ITU-T I.371): ``allowance`` requests at once, one more every ``period /
allowance``. A route says ``limit="name"``; without that it is ``read`` or ``write`` by its method. Boxes are not
counted here: how many may exchange at once is decided where they do.

Without Redis, nobody's password is checked and everything else goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

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
    "address": Limit(3000, 60),
    "site": Limit(1200, 60),
    "sign-in": Limit(30, 60, closed=True),
    "guess": Limit(30, 3600, closed=True),
    "letter": Limit(5, 3600),
    "guest": Limit(60, 60),
    "none": Limit(0, 0),
}
"""Whoever has signed in is counted as themselves by ``read`` or ``write``, and with all others of their address by
``address``; what is asked about a site, whoever asks, by ``site``. ``sign-in`` counts by address, and covers whatever
costs a slow hash; ``guess`` counts passwords by account, ``letter`` the letters to an address that strangers have us
write to, ``guest`` by address what is shown without an account."""

BY_ADDRESS = ("sign-in", "guest")

RETRY_WITHOUT_REDIS_S = 5
PATIENCE_S = 1.0
"""One that hangs must not hold up every request."""

Counted = tuple[str, str]
"""The name of a limit, and who is counted against it."""

# KEYS: buckets, those of one request beside each other. ARGV: for each bucket the number of its request, milliseconds
# between two requests, and of a full bucket. Answers for each request how long to wait, 0 to pass; one that has to wait
# fills none of its buckets. A key holds the moment at which its bucket will be empty, and is gone by then.
_LEAK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local waits, at = {}, 1
while at <= #KEYS do
  local request, wait, filled = ARGV[at * 3 - 2], 0, {}
  while at <= #KEYS and ARGV[at * 3 - 2] == request do
    local step, full = tonumber(ARGV[at * 3 - 1]), tonumber(ARGV[at * 3])
    filled[at] = math.max(tonumber(redis.call('GET', KEYS[at]) or 0), now) + step
    wait = math.max(wait, math.ceil(filled[at] - now - full))
    at = at + 1
  end
  if wait == 0 then
    for place, empty in pairs(filled) do
      redis.call('SET', KEYS[place], string.format('%.0f', empty), 'PX', math.ceil(empty - now))
    end
  end
  waits[#waits + 1] = wait
end
return waits
"""


async def spend(platform: Platform, *counted: Counted) -> None:
    """Count one request against each of these limits, or, where one of them is used up, against none.

    Raises ``too_many_requests`` with ``retry_after`` seconds, or ``unavailable`` where a limit is closed and Redis
    does not answer.
    """
    try:
        wait_ms = await platform.together.ask(_leak, platform, counted)
    except (RedisError, OSError) as error:
        names = [name for name, _ in counted]
        log.warning("limits.without_redis", limits=names, error=type(error).__name__)
        if any(LIMITS[name].closed for name in names):
            raise QurbaniError("unavailable", "sign-in is not possible now",
                               retry_after=RETRY_WITHOUT_REDIS_S) from error
        return
    if wait_ms:
        raise QurbaniError("too_many_requests", retry_after=wait_ms / 1000)


async def _leak(platform: Platform, requests: Sequence[Sequence[Counted]]) -> list[int]:
    """How many milliseconds each of these requests has to wait."""
    buckets: list[str] = []
    shapes: list[float] = []
    for number, counted in enumerate(requests):
        for name, who in counted:
            limit = LIMITS[name]
            step = limit.period_s * 1000 / (limit.allowance * platform.settings.rate_factor)
            buckets.append(f"rate:{name}:{who}")
            shapes += [number, step, limit.period_s * 1000]
    async with asyncio.timeout(PATIENCE_S):
        waits: list[int] = await platform.redis.register_script(_LEAK)(buckets, shapes)
    return waits


def limit_of(handler: BaseRouteHandler, method: str) -> str:
    """The name of the limit that counts a route."""
    return str(handler.opt.get("limit") or ("read" if method in ("GET", "HEAD") else "write"))


async def limited(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of the whole application that counts every request of a person or a stranger."""
    who: Principal | None = connection.scope.get("user")
    method = connection.scope.get("method", "GET")  # a WebSocket begins with one
    name = limit_of(handler, method)
    if name == "none" or method == "OPTIONS" or (who and who.role == NODE):
        return
    counted = [(name, address(connection) if who is None or name in BY_ADDRESS else str(who.id))]
    if who:
        counted.append(("address", address(connection)))
    if site := connection.scope["path_params"].get("site_id"):
        counted.append(("site", str(site)))
    await spend(connection.app.state.platform, *counted)


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
