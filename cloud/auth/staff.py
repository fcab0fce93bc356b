"""What admins do with other people's accounts. Every change signs its account out everywhere."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import accounts, letters, schemas, sessions
from cloud.auth.models import User
from cloud.auth.passwords import new_password
from cloud.platform import audit
from cloud.platform.access import Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError

PAGE = 100


async def invite(session: AsyncSession, platform: Platform, new: schemas.Invitation) -> schemas.Listed:
    """Open an account, whose owner is written to and chooses the password. Raises ``conflict``."""
    account = schemas.NewAccount(new.name, new.email, new_password(), new.language)
    id = await accounts.create_user(session, platform, account, new.role)
    user = await session.get_one(User, id)
    await letters.send(session, platform, user, letters.INVITED)
    audit.about(session, subject=id, granted=new.role)
    return _account(user)


async def change(
    session: AsyncSession, platform: Platform, who: Principal, user_id: UUID, wanted: schemas.AccountChange
) -> schemas.Listed:
    """Give an account another role, shut it out, or let it in again, from the next request on.

    Raises ``not_found``, and ``conflict`` for one's own account: nobody locks the last admin out by mistake.
    """
    if user_id == who.id:
        raise QurbaniError("conflict", "your own account is another admin's business")
    user = await session.get(User, user_id, with_for_update=True)
    if user is None:
        raise QurbaniError("not_found", "there is no such account")
    now = platform.clock.now()
    if wanted.role is not None:
        user.role = wanted.role
    if wanted.disabled is not None:
        user.disabled = (user.disabled or now) if wanted.disabled else None
    await sessions.end_all(session, user.id, now)
    audit.about(session, subject=user.id, granted=user.role, disabled=user.disabled is not None)
    return _account(user)


async def accounts_of(session: AsyncSession, role: str | None, before: UUID | None) -> list[schemas.Listed]:
    """The newest accounts, of a role or of all, older than ``before``; at most :data:`PAGE`."""
    query = select(User).order_by(User.id.desc()).limit(PAGE)
    if role is not None:
        query = query.where(User.role == role)
    if before is not None:
        query = query.where(User.id < before)
    return [_account(user) for user in await session.scalars(query)]


def _account(user: User) -> schemas.Listed:
    return schemas.Listed(
        user.id, user.role, user.person.name, user.created, user.confirmed, user.disabled, user.second_factor
    )
