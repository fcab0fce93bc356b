"""Accounts, sessions and tokens. The one door to who somebody is."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from hmac import compare_digest
from typing import TypeVar
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from litestar.datastructures import Cookie
from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import devices, node_tokens
from cloud.auth.models import Session, User
from cloud.auth.tokens import LIFE_S, Tokens
from cloud.platform import audit
from cloud.platform.access import Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError

IDLE = timedelta(days=7)
"""An unused session ends after this; one of an admin after :data:`ADMIN_LIFE`, used or not."""
LIFE = timedelta(days=30)
ADMIN_LIFE = timedelta(hours=12)

T = TypeVar("T")

# 64 MiB, 3 passes, 4 lanes: the second recommended option of RFC 9106, a third of a second.
_hasher = PasswordHasher()
_pin_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_hashing = ThreadPoolExecutor(2, "argon2")
"""Two threads, so that a burst of sign-ins costs time, not memory."""


async def hash_pin(pin: str) -> str:
    """The argon2id hash of a PIN, cheap enough for a box to check: 19 MiB, 2 passes, 1 lane."""
    return await _aside(lambda: _pin_hasher.hash(pin))


async def create_user(
    session: AsyncSession, *, id: UUID, email: str, password: str, role: str, name: str, language: str, now: datetime
) -> None:
    """Open an account. Raises ``conflict`` where the address has one."""
    if await session.scalar(select(exists().where(User.email == email.lower()))):
        raise QurbaniError("conflict", "there is an account with this address")
    hashed = await _aside(lambda: _hasher.hash(password))
    session.add(User(
        id=id, email=email.lower(), password_hash=hashed, role=role, name=name, language=language, created=now,
    ))  # fmt: skip
    await session.flush()


def new_password() -> str:
    """A password for somebody to keep in a password manager: 120 random bits."""
    return secrets.token_urlsafe(15)


async def check_password(
    session: AsyncSession, platform: Platform, email: str, password: str, *, device: str = ""
) -> User:
    """The account of ``email``; ``device`` is the browser's device cookie.

    Raises ``bad_credentials``, alike and after the same time whatever is wrong, and ``too_many_requests`` where too
    many have been tried.
    """
    user = await session.scalar(select(User).where(User.email == email.lower()))
    await devices.count_guess(platform, email, user.id if user else None, device)
    known = user is not None and user.disabled is None
    matches = await _aside(lambda: _verify(user.password_hash if user and known else _nobody(), password))
    if user is None or not known or not matches:
        raise QurbaniError("bad_credentials")
    if _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = await _aside(lambda: _hasher.hash(password))
    return user


async def open_session(session: AsyncSession, user: User, kind: str, platform: Platform) -> str:
    """Begin a session of ``kind`` (``page`` or ``api``); the token that stands for it from now on."""
    id, secret, now = platform.new_id(), secrets.token_urlsafe(32), platform.clock.now()
    session.add(Session(id=id, user_id=user.id, kind=kind, secret_hash=_digest(secret), created=now, used=now))
    await session.flush()
    audit.about(session, actor=user.id, role=user.role, subject=id)
    return f"{id}.{secret}"


async def page_user(session: AsyncSession, token: str, now: datetime) -> Principal | None:
    """Whose page session a cookie's token stands for; None when it has ended or never was."""
    found = await _find(session, token, "page", now)
    if found is None or not compare_digest(found[0].secret_hash, _digest(_secret(token))):
        return None
    held, user = found
    if now - held.used > IDLE / 100:
        held.used = now
    return principal(user)


async def refresh(platform: Platform, token: str) -> tuple[Principal, str]:
    """Exchange a refresh token for its successor; the old one is used up.

    Raises ``not_signed_in``. A token that was used up already has been copied, by whoever came first or by
    whoever comes now, so it ends the session for both (RFC 9700, section 4.14.2).
    """
    now = platform.clock.now()
    async with platform.database.begin() as session:
        found = await _find(session, token, "api", now, lock=True)
        if found:
            held, user = found
            if compare_digest(held.secret_hash, _digest(_secret(token))):
                secret = secrets.token_urlsafe(32)
                held.secret_hash, held.used = _digest(secret), now
                await audit.record(session, "auth.refresh", now=now, subject=held.id, actor=user.id, role=user.role)
                return principal(user), f"{held.id}.{secret}"
            held.ended = now
            await audit.record(session, "auth.reuse", now=now, subject=held.id, role="stranger", outcome="refused")
    raise QurbaniError("not_signed_in", "the session has ended")


async def end_session(session: AsyncSession, token: str, now: datetime) -> None:
    """Sign out. Ending a session that has ended changes nothing."""
    await session.execute(
        update(Session)
        .where(Session.id == _id(token), Session.secret_hash == _digest(_secret(token)), Session.ended.is_(None))
        .values(ended=now)
    )


async def _find(
    session: AsyncSession, token: str, kind: str, now: datetime, *, lock: bool = False
) -> tuple[Session, User] | None:
    query = (
        select(Session, User)
        .join(User, User.id == Session.user_id)
        .where(Session.id == _id(token), Session.kind == kind, Session.ended.is_(None), User.disabled.is_(None))
    )
    found = (await session.execute(query.with_for_update(of=Session) if lock else query)).first()
    return None if found is None or now >= _expiry(*found) else (found[0], found[1])


def principal(user: User) -> Principal:
    return Principal(user.id, user.role, user.name, user.language)


def device(platform: Platform, cookies: Mapping[str, str]) -> str:
    """The device cookie among a browser's cookies."""
    return cookies.get(devices.cookie_name(platform), "")


def cookies(platform: Platform, user: User, token: str) -> list[Cookie]:
    """What a browser gets when ``user`` has signed in: the session's cookie and the device's."""
    return [cookie(platform, token), devices.remember(platform, user.id)]


def cookie(platform: Platform, token: str) -> Cookie:
    """The cookie of a page session; an empty ``token`` takes it away."""
    return Cookie(
        key=cookie_name(platform), value=token, max_age=int(LIFE.total_seconds()) if token else 0,
        path="/", httponly=True, secure=platform.settings.https, samesite="lax",
    )  # fmt: skip


def cookie_name(platform: Platform) -> str:
    """Behind TLS the prefix keeps other hosts and plain HTTP from planting one (RFC 6265bis, section 4.1.3.2)."""
    return "__Host-session" if platform.settings.https else "session"


def access_token(platform: Platform, who: Principal) -> str:
    """A bearer token for ``who``, good for :data:`LIFE_S` seconds."""
    return _tokens(platform).issue(who, jti=platform.new_id(), now=platform.clock.now())


def node_token(platform: Platform, node: UUID, key: bytes) -> tuple[str, int]:
    """A bearer token for a box that has proved who it is, bound to its ``key``; and its life in seconds."""
    return node_tokens.issue(platform.keys.derive(node_tokens.PURPOSE), node, key, platform.clock.now()), LIFE_S


def check_token(platform: Platform, token: str) -> Principal:
    """Whose bearer token this is. Raises ``not_signed_in``."""
    if node_tokens.is_one(token):
        return node_tokens.check(platform.keys.derive(node_tokens.PURPOSE), token, platform.clock.now())
    return _tokens(platform).check(token, platform.clock.now())


def _tokens(platform: Platform) -> Tokens:
    return Tokens(platform.keys.derive("access-token/1"), platform.settings.base_url)


def _expiry(held: Session, user: User) -> datetime:
    if user.role == "admin":
        return held.created + ADMIN_LIFE
    return min(held.created + LIFE, held.used + IDLE)


def _digest(secret: str) -> bytes:
    # 256 random bits need no slow hash.
    return hashlib.sha256(secret.encode()).digest()


def _id(token: str) -> UUID | None:
    try:
        return UUID(token.partition(".")[0])
    except ValueError:
        return None


def _secret(token: str) -> str:
    return token.partition(".")[2]


def _verify(hashed: str, secret: str) -> bool:
    try:
        return _hasher.verify(hashed, secret)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """A hash to compare with where there is no account, so that both cases take as long."""
    return _hasher.hash(secrets.token_urlsafe())


async def _aside(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_hashing, work)
