"""Programs with an account of their own: a charity's books, a report. Each has a narrow role and a key.

The key is 256 random bits, shown once; its hash is looked up with every request, so who is revoked is so at the next.
A key that is replaced goes on for :data:`OVERLAP`, in which the program is given the new one.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import schemas
from cloud.auth.models import Program
from cloud.platform import audit
from cloud.platform.access import Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError

OVERLAP = timedelta(hours=1)

_PREFIX = "p."


def is_key(token: str) -> bool:
    return token.startswith(_PREFIX)


async def program(platform: Platform, token: str) -> Principal:
    """Which program this key is of. Raises ``not_signed_in``."""
    id, _, secret = token.removeprefix(_PREFIX).partition(".")
    try:
        found = await platform.together.ask(_programs, platform, UUID(id))
    except ValueError as error:
        raise QurbaniError("not_signed_in", "the key cannot be read") from error
    if found is None or not _fits(found, _digest(secret), platform.clock.now()):
        raise QurbaniError("not_signed_in", "this key is not, or no more, one of this hub")
    return Principal(found.id, found.role, "en")


async def add(session: AsyncSession, platform: Platform, new: schemas.NewProgram) -> schemas.Key:
    """An account for a program."""
    secret, now = secrets.token_urlsafe(32), platform.clock.now()
    row = Program(id=platform.new_id(), name=new.name, role=new.role, hash=_digest(secret), created=now)
    session.add(row)
    await session.flush()
    audit.about(session, subject=row.id, granted=new.role)
    return _key(row, secret)


async def rotate(session: AsyncSession, platform: Platform, id: UUID) -> schemas.Key:
    """Another key; the one before is good for :data:`OVERLAP`, those before that are not. Raises ``not_found``."""
    row, secret = await _locked(session, id), secrets.token_urlsafe(32)
    row.prior_hash, row.prior_until = row.hash, platform.clock.now() + OVERLAP
    row.hash = _digest(secret)
    return _key(row, secret)


async def revoke(session: AsyncSession, id: UUID, now: datetime) -> None:
    """Let a program in no more, from the next request on. Raises ``not_found``."""
    (await _locked(session, id)).revoked = now


async def programs(session: AsyncSession) -> list[schemas.Program]:
    """All of them, the newest first; those that were revoked, too."""
    rows = await session.scalars(select(Program).order_by(Program.id.desc()))
    return [schemas.Program(row.id, row.name, row.role, row.created, row.prior_until, row.revoked) for row in rows]


async def _programs(platform: Platform, ids: list[UUID]) -> list[Row[Any] | None]:
    async with platform.database.look() as session:
        found = {row.id: row for row in await session.execute(_GOES_ON, {"ids": ids})}
    return [found.get(id) for id in ids]


_GOES_ON = select(Program.id, Program.role, Program.hash, Program.prior_hash, Program.prior_until).where(
    Program.id == any_(bindparam("ids", type_=ARRAY(Uuid))), Program.revoked.is_(None)
)


def _fits(found: Row[Any], shown: bytes, now: datetime) -> bool:
    is_prior = found.prior_hash is not None and compare_digest(found.prior_hash, shown) and now < found.prior_until
    return is_prior or compare_digest(found.hash, shown)


def _key(row: Program, secret: str) -> schemas.Key:
    return schemas.Key(row.id, f"{_PREFIX}{row.id}.{secret}")


def _digest(secret: str) -> bytes:
    # 256 random bits need no slow hash.
    return hashlib.sha256(secret.encode()).digest()


async def _locked(session: AsyncSession, id: UUID) -> Program:
    row = await session.get(Program, id, with_for_update=True)
    if row is None:
        raise QurbaniError("not_found", "there is no such program")
    return row
