"""Accounts: who there is, and whether somebody is who they say."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import devices, passwords, schemas
from cloud.auth.models import Person, Session, User
from cloud.platform import personal
from cloud.platform.core import Platform
from shared.errors import QurbaniError


async def create_user(
    session: AsyncSession, *, id: UUID, email: str, password: str, role: str, name: str, language: str, now: datetime
) -> None:
    """Open an account. Raises ``conflict`` where the address has one."""
    if await session.scalar(select(exists().where(_has(session, email)))):
        raise QurbaniError("conflict", "there is an account with this address")
    hashed = await passwords.hash_password(password)
    session.add(User(
        id=id, key=await personal.key_of(session, id), person=Person(email.lower(), name),
        email_index=_index(session, email), password_hash=hashed, role=role, language=language, created=now,
    ))  # fmt: skip
    await session.flush()


async def check_password(
    session: AsyncSession, platform: Platform, email: str, password: str, *, device: str = ""
) -> User:
    """The account of ``email``; ``device`` is the browser's device cookie.

    Raises ``bad_credentials``, alike and after the same time whatever is wrong, and ``too_many_requests`` where too
    many have been tried.
    """
    user = await of_address(session, email)
    await devices.count_guess(platform, email, user.id if user else None, device)
    known = user is not None and user.disabled is None
    if not await passwords.matches(user.password_hash if user and known else None, password) or user is None:
        raise QurbaniError("bad_credentials")
    if passwords.is_outdated(user.password_hash):
        user.password_hash = await passwords.hash_password(password)
    return user


async def close_account(session: AsyncSession, user_id: UUID, now: datetime) -> None:
    """Let nobody in any more, and make the address free for a new account."""
    user = await session.get_one(User, user_id)
    user.email_index, user.password_hash, user.disabled = None, "", now
    await session.execute(update(Session).where(Session.user_id == user_id).values(agent=""))
    await session.execute(
        update(Session).where(Session.user_id == user_id, Session.ended.is_(None)).values(ended=now))


async def account(session: AsyncSession, user_id: UUID) -> schemas.Account:
    """All that is held of an account. Raises ``not_found``."""
    user = await session.get(User, user_id)
    if user is None:
        raise QurbaniError("not_found", "there is no such account")
    rows = await session.scalars(select(Session).where(Session.user_id == user_id).order_by(Session.created))
    past = [schemas.PastSession(row.kind, row.agent, row.created, row.used, row.ended) for row in rows]
    return schemas.Account(user.person.email, user.person.name, user.role, user.language, user.created, past)


async def of_address(session: AsyncSession, email: str) -> User | None:
    """The account with this address."""
    return await session.scalar(select(User).where(_has(session, email)))


def _has(session: AsyncSession, email: str) -> ColumnElement[bool]:
    return User.email_index == _index(session, email)


def _index(session: AsyncSession, email: str) -> bytes:
    return personal.blind(session, "email", email.lower())
