"""Hot reads answered out of Redis: what somebody reads of their own, or what everybody may, until a commit changes it.

A route says ``cached="donors"`` where all that it answers comes from the rows of that service. An answer is kept for
one principal under the generations (:mod:`cloud.platform.generations`) that held before it was read, so who writes need
not know who has read what. What staff read is never kept: each look of theirs is told in the audit.

Answers are sealed, as Redis holds nothing about anybody in the clear. Without Redis every read is a miss.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from itertools import chain, islice

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from redis.exceptions import RedisError

from cloud.platform.access import Principal
from cloud.platform.audit import OWN_ROLES
from cloud.platform.core import Platform
from cloud.platform.generations import generation
from cloud.platform.metrics import CACHE

LIFE_S = 60
PATIENCE_S = 0.25
PAUSE_S = 1.0
"""How long Redis is not asked again after it failed."""

_NONCE = 12


class Kept(msgspec.Struct, frozen=True):
    """An answer, and the generations before it was read."""

    generations: list[bytes | None]
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Cache:
    """The middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._off_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = scope["route_handler"].opt.get("cached") if scope["type"] == ScopeType.HTTP else None
        who: Principal | None = scope.get("user")
        if not service or scope["method"] != "GET" or (who and who.role not in OWN_ROLES):
            await self.app(scope, receive, send)
            return
        platform: Platform = scope["litestar_app"].state.platform
        cipher = AESGCM(platform.keys.derive("cache/1"))
        name = _name(scope, who)
        held = await self._ask(platform, [generation(service), generation(service, who.id if who else None), name])
        if held is None:
            CACHE.labels("off").inc()
            await self.app(scope, receive, send)
            return
        *generations, sealed = held
        if sealed and (kept := _opened(cipher, sealed, name)) and kept.generations == generations:
            CACHE.labels("hit").inc()
            await scope["route_handler"].authorize_connection(Request(scope))  # who lost a role has lost this, too
            await send({"type": "http.response.start", "status": 200, "headers": kept.headers})
            await send({"type": "http.response.body", "body": kept.body, "more_body": False})
            return
        CACHE.labels("miss").inc()
        said: list[Message] = []

        async def noted(message: Message) -> None:
            said.append(message)
            await send(message)

        await self.app(scope, receive, noted)
        if (kept := _keepable(said, generations)) is not None:
            nonce = os.urandom(_NONCE)
            sealed = nonce + cipher.encrypt(nonce, msgspec.msgpack.encode(kept), name.encode())
            await self._keep(platform, name, sealed)

    async def _ask(self, platform: Platform, names: list[str]) -> list[bytes | None] | None:
        """What Redis holds under these names; None where it does not answer."""
        if time.monotonic() < self._off_until:
            return None
        try:
            return await platform.together.ask(_held, platform, names)
        except (RedisError, OSError):
            self._off_until = time.monotonic() + PAUSE_S
            return None

    async def _keep(self, platform: Platform, name: str, sealed: bytes) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await platform.redis.set(name, sealed, ex=LIFE_S)
        except (RedisError, OSError):
            self._off_until = time.monotonic() + PAUSE_S


async def _held(platform: Platform, asked: list[list[str]]) -> list[list[bytes | None]]:
    async with asyncio.timeout(PATIENCE_S):
        found = iter(await platform.redis.mget(chain.from_iterable(asked)))
    return [list(islice(found, len(names))) for names in asked]


def _name(scope: Scope, who: Principal | None) -> str:
    asked = f"{who.id if who else ''} {scope['path']}?{scope['query_string'].decode('latin-1')}"
    return "read:" + hashlib.sha256(asked.encode()).hexdigest()


def _opened(cipher: AESGCM, sealed: bytes, name: str) -> Kept | None:
    try:
        raw = cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
    except InvalidTag:
        return None
    return msgspec.msgpack.decode(raw, type=Kept)


def _keepable(said: list[Message], generations: list[bytes | None]) -> Kept | None:
    """What is to be kept of an answer: one that is whole, good, and gives nobody a cookie."""
    if len(said) != 2 or said[0]["type"] != "http.response.start" or said[1]["type"] != "http.response.body":
        return None
    headers = list(said[0]["headers"])
    if said[0]["status"] != 200 or said[1].get("more_body") or any(name == b"set-cookie" for name, _ in headers):
        return None
    return Kept(generations, headers, said[1]["body"])
