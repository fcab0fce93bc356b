"""The second factor: codes of an app (TOTP, RFC 6238: SHA-1, 30 s, six digits), and recovery codes for a lost phone.

Admins and auditors must have one, others may. A password alone begins a session that waits: nothing is open in it but
setting up an app and sending a code. Each code works once, and so does each recovery code.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from datetime import datetime
from hmac import compare_digest, digest
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import devices, letters, schemas, sessions
from cloud.auth.models import Session, User
from cloud.platform import audit
from cloud.platform.access import Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError

STEP_S, DIGITS, SECRET_SIZE = 30, 6, 20
AROUND = (-1, 0, 1)
"""A code may be typed as late, or a phone's clock be as far ahead, as one step."""
RECOVERIES = 10


async def begin(session: AsyncSession, who: Principal) -> schemas.App:
    """A secret for an app; it counts from its first code on. Raises ``conflict`` where there is an app already."""
    user = await _locked(session, who.id)
    if user.second_factor:
        raise QurbaniError("conflict", "there is a second factor; remove that first")
    user.person = msgspec.structs.replace(user.person, totp=os.urandom(SECRET_SIZE))
    await session.flush()
    return _app(user)


async def state(session: AsyncSession, who: Principal) -> tuple[bool, schemas.App | None]:
    """Whether there is a second factor; where there is none, the app that was begun with."""
    user = await session.get_one(User, who.id)
    has_begun = user.second_factor is None and user.person.totp
    return user.second_factor is not None, _app(user) if has_begun else None


async def prove(session: AsyncSession, platform: Platform, who: Principal, code: str) -> list[str]:
    """Show the second factor in this session. The first code of an app makes it count, and brings recovery codes.

    Raises ``wrong_code``, ``conflict`` where no app was begun with, and ``too_many_requests``.
    """
    await devices.count_guess(platform, f"code/{who.id}", None, "")
    user, now = await _locked(session, who.id), platform.clock.now()
    if not user.person.totp:
        raise QurbaniError("conflict", "set an app up first")
    if not (_is_of_app(user, code, now) or _was_kept(platform, user, code)):
        raise QurbaniError("wrong_code")
    await session.execute(update(Session).where(Session.id == who.session).values(proved=now))
    audit.about(session, subject=user.id)
    if user.second_factor:
        return []
    user.second_factor = now
    found = [_recovery() for _ in range(RECOVERIES)]
    user.recovery = [_hash(platform, user.id, one) for one in found]
    return found


async def remove(session: AsyncSession, platform: Platform, user_id: UUID) -> None:
    """Forget an app and its recovery codes, sign out everywhere, and tell the owner. Raises ``not_found``."""
    user = await session.get(User, user_id, with_for_update=True)
    if user is None:
        raise QurbaniError("not_found", "there is no such account")
    user.person = msgspec.structs.replace(user.person, totp=b"")
    user.second_factor, user.recovery = None, []
    audit.about(session, subject=user.id)
    await sessions.end_all(session, user.id, platform.clock.now())
    await letters.send(session, platform, user, "second_factor_removed")


def _app(user: User) -> schemas.App:
    uri = _totp(user).get_provisioning_uri(user.person.email, "Qurbani")
    return schemas.App(base64.b32encode(user.person.totp).decode(), uri)


def _is_of_app(user: User, code: str, now: datetime) -> bool:
    totp, step = _totp(user), int(now.timestamp()) // STEP_S
    for near in AROUND:
        if step + near > user.totp_step and compare_digest(totp.generate((step + near) * STEP_S), code.encode()):
            user.totp_step = step + near
            return True
    return False


def _was_kept(platform: Platform, user: User, code: str) -> bool:
    hashed = _hash(platform, user.id, code)
    left = [kept for kept in user.recovery if not compare_digest(kept, hashed)]
    was_kept = len(left) < len(user.recovery)
    user.recovery = left
    return was_kept


def _totp(user: User) -> TOTP:
    return TOTP(user.person.totp, DIGITS, SHA1(), STEP_S)  # noqa: S303 - what every app speaks; HMAC does not mind


def _recovery() -> str:
    """80 random bits, in four groups that can be copied by hand."""
    text = base64.b32encode(secrets.token_bytes(10)).decode()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _hash(platform: Platform, user_id: UUID, code: str) -> str:
    # 80 random bits need no slow hash.
    plain = "".join(sign for sign in code.upper() if sign.isalnum())
    return digest(platform.keys.derive("recovery/1"), f"{user_id}/{plain}".encode(), hashlib.sha256).hex()


async def _locked(session: AsyncSession, user_id: UUID) -> User:
    return await session.get_one(User, user_id, with_for_update=True, populate_existing=True)
