"""Accounts: how one begins, how its password changes, and whether somebody is who they say.

Nobody learns here whether an address has an account: registering, forgetting a password and signing in answer alike and
after the same time. What differs is said by mail, to whoever reads it.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import devices, letters, passwords, schemas, sessions
from cloud.auth.models import Person, Session, User
from cloud.platform import audit, personal
from cloud.platform.access import Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError


async def create_user(
    session: AsyncSession, platform: Platform, new: schemas.NewAccount, role: str
) -> UUID:
    """Open an account that may be used at once; its id. Raises ``conflict`` where the address has one."""
    user, is_new = await _written(session, platform, new, role)
    if not is_new:
        raise QurbaniError("conflict", "there is an account with this address")
    user.confirmed = user.created
    await session.flush()
    return user.id


async def register(session: AsyncSession, platform: Platform, new: schemas.NewAccount, role: str) -> UUID | None:
    """Open an account that may be used once its address is confirmed, and write to the address.

    The account's id; None where the address has an account in use, whose owner is told by mail that somebody tried.
    An account that was never confirmed belongs to nobody, so who registers last decides about it. Raises
    ``weak_password`` and ``too_many_requests``.
    """
    passwords.check_new(new.password, new.name, new.email)
    await devices.count_letter(platform, new.email)
    user, _ = await _written(session, platform, new, role)
    audit.about(session, subject=user.id)
    if user.confirmed or user.disabled:
        await letters.send(session, platform, user, "address_taken")
        return None
    await letters.send(session, platform, user, letters.CONFIRM)
    return user.id


async def confirm(session: AsyncSession, platform: Platform, token: str, password: str) -> User:
    """Whose address this link confirms. It takes the password too: who registers the address of somebody else cannot
    have them open the account for him.

    Raises ``bad_link``, ``bad_credentials`` and ``too_many_requests``.
    """
    link, user = await letters.opened(session, platform, token, letters.CONFIRM)
    await devices.count_guess(platform, str(user.id), None, "")
    if not await passwords.matches(user.password_hash, password):
        raise QurbaniError("bad_credentials")
    link.used = user.confirmed = platform.clock.now()
    return user


async def forgotten(session: AsyncSession, platform: Platform, email: str) -> None:
    """Write to the address, if it has an account, how to choose another password. Raises ``too_many_requests``."""
    await devices.count_letter(platform, email)
    user = await of_address(session, email)
    if user and not user.disabled:
        audit.about(session, subject=user.id)
        await letters.send(session, platform, user, letters.RESET)


async def reset(session: AsyncSession, platform: Platform, token: str, password: str) -> None:
    """Another password, by a link; the account is signed out everywhere. Raises ``bad_link`` and ``weak_password``."""
    link, user = await letters.opened(session, platform, token, letters.RESET, letters.INVITED)
    await _change(session, platform, user, password)
    link.used = platform.clock.now()
    user.confirmed = user.confirmed or link.used
    audit.about(session, subject=user.id, actor=user.id, role=user.role)
    await sessions.end_all(session, user.id, link.used)


async def change_password(session: AsyncSession, platform: Platform, who: Principal, old: str, new: str) -> None:
    """Another password; every other session ends.

    Raises ``bad_credentials`` where ``old`` is not the password, ``weak_password`` and ``too_many_requests``.
    """
    user = await session.get_one(User, who.id)
    await devices.count_guess(platform, str(user.id), None, "")
    if not await passwords.matches(user.password_hash, old):
        raise QurbaniError("bad_credentials", "this is not your password")
    await _change(session, platform, user, new)
    audit.about(session, subject=user.id)
    await sessions.end_all(session, user.id, platform.clock.now(), keep=who.session)


async def check_password(
    session: AsyncSession, platform: Platform, email: str, password: str, *, device: str = ""
) -> User:
    """The account of ``email``; ``device`` is the browser's device cookie.

    Raises ``bad_credentials``, alike and after the same time whatever is wrong, and ``too_many_requests`` where too
    many have been tried.
    """
    user = await of_address(session, email)
    await devices.count_guess(platform, email, user.id if user else None, device)
    is_in_use = user is not None and user.confirmed is not None and user.disabled is None
    if not await passwords.matches(user.password_hash if user and is_in_use else None, password) or user is None:
        raise QurbaniError("bad_credentials")
    if passwords.is_outdated(user.password_hash):
        user.password_hash = await passwords.hash_password(password)
    return user


async def close_account(session: AsyncSession, user_id: UUID, now: datetime) -> None:
    """Let nobody in any more, and make the address free for a new account."""
    user = await session.get_one(User, user_id)
    user.email_index, user.password_hash, user.disabled = None, "", now
    await session.execute(update(Session).where(Session.user_id == user_id).values(agent=""))
    await sessions.end_all(session, user_id, now)


async def account(session: AsyncSession, user_id: UUID) -> schemas.Account:
    """All that is held of an account. Raises ``not_found``."""
    user = await session.get(User, user_id)
    if user is None:
        raise QurbaniError("not_found", "there is no such account")
    rows = await session.scalars(select(Session).where(Session.user_id == user_id).order_by(Session.created))
    past = [schemas.PastSession(row.kind, row.agent, row.created, row.used, row.ended) for row in rows]
    return schemas.Account(user.person.email, user.person.name, user.role, user.language, user.created, past)


async def name_of(platform: Platform, user_id: UUID) -> str:
    """What the owner of an account is called."""
    async with platform.database.look() as session:
        return str((await session.get_one(User, user_id)).person.name)


async def of_address(session: AsyncSession, email: str) -> User | None:
    """The account with this address."""
    return await session.scalar(select(User).where(User.email_index == _index(session, email)))


async def _written(
    session: AsyncSession, platform: Platform, new: schemas.NewAccount, role: str
) -> tuple[User, bool]:
    """The account of the address, and whether it is new. One that was never confirmed is written anew.

    Whoever else writes one of the same address waits.
    """
    hashed, index = await passwords.hash_password(new.password), _index(session, new.email)
    await session.execute(select(func.pg_advisory_xact_lock(int.from_bytes(index[:8], signed=True))))
    user = await of_address(session, new.email)
    is_new = user is None
    if user is None:
        id = platform.new_id()
        user = User(id=id, key=await personal.key_of(session, id), email_index=index, created=platform.clock.now())
    if not user.confirmed and not user.disabled:
        user.person = Person(new.email.lower(), new.name)
        user.password_hash, user.role, user.language = hashed, role, new.language
        session.add(user)
        await session.flush()
    return user, is_new


async def _change(session: AsyncSession, platform: Platform, user: User, password: str) -> None:
    least = passwords.LEAST_OF_TWO if user.second_factor else passwords.LEAST
    passwords.check_new(password, user.person.name, user.person.email, least=least)
    user.password_hash = await passwords.hash_password(password)
    await letters.send(session, platform, user, "password_changed")


def _index(session: AsyncSession, email: str) -> bytes:
    return personal.blind(session, "email", email.lower())
