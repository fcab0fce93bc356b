"""A request that is repeated under one ``Idempotency-Key`` has one effect, and each repeat gets the first answer.

As https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ has it. The answer is committed with the
effect: of a process that is killed, either both are there or neither. A refusal had no effect, so none is kept; whoever
was refused may correct the request and send it again under the same key. A repeat while the first is still under way is
told so, and what says that it is, a lock, falls with its transaction.

Answers hold names and codes, so each is sealed with a key that is made from the client's, which the hub does not keep.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform.access import NODE, Principal
from cloud.platform.core import Platform
from cloud.platform.models import Base
from shared.errors import QurbaniError
from shared.problems import problem_response

HEADER = "idempotency-key"
KEPT = timedelta(days=14)
"""A phone that was offline for a week asks again, and is not charged again."""
RETRY_S = 1
SWEPT = 100
"""How many answers that are too old each new one takes with it."""

NOT_KEPT = "/api/v1/auth/"
"""What is answered here opens accounts: each answer is for once, and a second session does no harm."""

_SHAPE = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')  # the draft has it in quotes, most clients leave them out
_SAFE = ("GET", "HEAD", "OPTIONS")
_NONCE = 12


class Answered(Base):
    """The answer to a request. ``name`` is made of who asked and their key, ``asked`` of the request."""

    __tablename__ = "answers"

    name: Mapped[bytes] = mapped_column(primary_key=True)
    asked: Mapped[bytes]
    sealed: Mapped[bytes]
    at: Mapped[datetime] = mapped_column(index=True)


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def send(self, send: Send) -> None:
        headers = [*self.headers, (b"idempotency-replayed", b"true")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


class Repeatable(msgspec.Struct):
    """A request under a key, while it is answered. ``session`` is its transaction once it has begun."""

    name: bytes
    asked: bytes
    cipher: AESGCM
    stack: AsyncExitStack
    session: AsyncSession | None = None


class Once:
    """The middleware: answers repeats, and commits what is new together with its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_safe = scope["type"] != ScopeType.HTTP or scope["method"] in _SAFE
        if is_safe or not _is_keyed(request := Request[Any, Any, Any](scope, receive)):
            await self.app(scope, receive, send)
            return
        platform: Platform = request.app.state.platform
        said: list[Message] = []

        async def collect(message: Message) -> None:
            said.append(message)

        try:
            async with AsyncExitStack() as stack:
                mine = await _read(request, platform, stack)
                if earlier := await _earlier(platform, mine):
                    await scope["route_handler"].authorize_connection(request)  # who lost a role has lost its answers
                    await earlier.send(send)
                    return
                scope["state"][HEADER] = mine
                await self.app(scope, receive, collect)
                if mine.session is not None and said[0]["status"] < 400:  # type: ignore[typeddict-item]
                    await _keep(mine.session, mine, said, platform.clock.now())
        except Exception as error:
            if not said:
                raise
            # The framework takes what was said for sent, and would hang up.
            refusal = problem_response(request, error).to_asgi_response(app=None, request=request)
            await refusal(scope, receive, send)
            return
        for message in said:
            await send(message)


@asynccontextmanager
async def transaction(request: Request[Any, Any, Any], platform: Platform) -> AsyncIterator[AsyncSession]:
    """The transaction of a request; one under a key stays open until its answer is written down in it.

    Raises ``in_flight`` where the same request is being answered.
    """
    mine: Repeatable | None = request.scope["state"].get(HEADER)
    if mine is None:
        async with platform.database.begin() as session:
            yield session
        return
    session = await mine.stack.enter_async_context(platform.database.begin())
    try:
        await _lock(session, mine)
        yield session
    except BaseException:
        await session.rollback()
        raise
    mine.session = session


def _is_keyed(request: Request[Any, Any, Any]) -> bool:
    """Boxes are left out: their protocol knows its repeats."""
    who: Principal | None = request.scope.get("user")
    path = request.scope["path"]
    return (
        HEADER in request.headers and path.startswith("/api/v1/") and not path.startswith(NOT_KEPT)
        and not (who and who.role == NODE)
    )  # fmt: skip


async def _read(request: Request[Any, Any, Any], platform: Platform, stack: AsyncExitStack) -> Repeatable:
    """Raises ``bad_input`` for what is no key."""
    shape = _SHAPE.fullmatch(request.headers[HEADER])
    if shape is None:
        raise QurbaniError("bad_input", "an Idempotency-Key has 1 to 255 visible characters", field="Idempotency-Key")
    who: Principal | None = request.scope.get("user")
    mine = (who.id.bytes if who else UUID(int=0).bytes) + shape[1].encode()
    secret = platform.keys.derive("idempotency/1")
    name, seal = (hmac.digest(secret, purpose + mine, "sha256") for purpose in (b"name", b"seal"))
    line = f"{request.method} {request.scope['path']}?{request.scope['query_string'].decode('latin-1')}\n"
    asked = hmac.digest(secret, line.encode() + await request.body(), "sha256")  # nobody can try out what it was
    return Repeatable(name, asked, AESGCM(seal), stack)


async def _earlier(platform: Platform, mine: Repeatable) -> Answer | None:
    """What the request was answered before. Raises ``key_reused`` where another one had its key."""
    async with platform.database.begin() as session:
        row = await session.get(Answered, mine.name)
    if row is None:
        return None
    if row.asked != mine.asked:
        raise QurbaniError("key_reused", "this Idempotency-Key was sent with another request")
    raw = mine.cipher.decrypt(row.sealed[:_NONCE], row.sealed[_NONCE:], mine.name)
    return msgspec.msgpack.decode(raw, type=Answer)


async def _lock(session: AsyncSession, mine: Repeatable) -> None:
    number = int.from_bytes(mine.name[:8], signed=True)
    is_alone = (await session.execute(select(func.pg_try_advisory_xact_lock(number)))).scalar_one()
    if not is_alone or await session.get(Answered, mine.name) is not None:
        raise QurbaniError("in_flight", "this very request is being answered", retry_after=RETRY_S)


async def _keep(session: AsyncSession, mine: Repeatable, said: list[Message], now: datetime) -> None:
    """Write the answer down, and take away some that nobody asks for any more."""
    start, *rest = said
    body = b"".join(message.get("body", b"") for message in rest)  # type: ignore[misc]
    raw = msgspec.msgpack.encode(Answer(start["status"], list(start["headers"]), body))  # type: ignore[typeddict-item]
    nonce = os.urandom(_NONCE)
    sealed = nonce + mine.cipher.encrypt(nonce, raw, mine.name)
    session.add(Answered(name=mine.name, asked=mine.asked, sealed=sealed, at=now))
    old = select(Answered.name).where(Answered.at < now - KEPT).limit(SWEPT).with_for_update(skip_locked=True)
    await session.execute(delete(Answered).where(Answered.name.in_(old.scalar_subquery())))
