"""Sessions: signed-in browsers and programs. What a token stands for is looked up with every request.

So whoever is signed out, shut out or given another role is so at the next request, with access tokens as with cookies.
It costs one read by primary key, which requests of one moment share (:mod:`cloud.platform.together`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any
from uuid import UUID

from litestar.datastructures import Cookie
from sqlalchemy import Row, Uuid, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import devices, schemas
from cloud.auth.models import Session, User
from cloud.auth.tokens import LIFE_S, AccessTokens, access_tokens
from cloud.platform import audit
from cloud.platform.access import SECOND_FACTOR, Principal
from cloud.platform.core import Platform
from shared.clock import to_ms
from shared.crypto import VerifyKey
from shared.errors import QurbaniError
from sync import tokens

IDLE = timedelta(days=7)
"""An unused session ends after this; one of an admin after :data:`ADMIN_LIFE`, used or not."""
LIFE = timedelta(days=30)
ADMIN_LIFE = timedelta(hours=12)

RETRY = timedelta(seconds=30)
"""How long a program whose device has proved itself may show the refresh token before again."""

REFRESH = "/api/v1/auth/refresh"
PAGE, API = "page", "api"

CLEAR = {"Clear-Site-Data": '"cache", "storage"'}
"""What leaves nothing of a session in the browser in which it ends."""


async def open_page(session: AsyncSession, user: User, platform: Platform, agent: str = "") -> str:
    """Begin the session of a browser that calls itself ``agent``; the secret of its cookie."""
    held, secret = await _open(session, user, PAGE, platform, agent)
    return f"{held.id}.{secret}"


async def open_api(
    session: AsyncSession, user: User, platform: Platform, agent: str = "", device_key: str = ""
) -> schemas.Tokens:
    """Begin the session of a program. With a ``device_key`` its tokens are good only for who holds that key.

    Raises ``bad_input`` for a key that is none.
    """
    held, secret = await _open(session, user, API, platform, agent)
    held.device_key = _device_key(device_key) if device_key else None
    return _pair(platform, held, secret)


async def page_user(platform: Platform, cookie: str) -> Principal | None:
    """Whose page session a cookie stands for; None when it has ended or never was."""
    now = platform.clock.now()
    found = await _standing(platform, _id(cookie), now, PAGE)
    if found is None or not compare_digest(found.secret_hash, _digest(_secret(cookie))):
        return None
    if now - found.used > IDLE / 100:
        async with platform.database.begin() as session:
            await session.execute(update(Session).where(Session.id == found.id).values(used=now))
    return _principal(found)


async def bearer(platform: Platform, token: str) -> Principal:
    """Whose access token this is. Raises ``not_signed_in``, also as soon as its session has ended."""
    now = platform.clock.now()
    found = await _standing(platform, _access_tokens(platform).check(token, now), now, API)
    if found is None:
        raise QurbaniError("not_signed_in", "the session has ended")
    return _principal(found)


async def holder(platform: Platform, session_id: UUID) -> Principal | None:
    """Whose session this is, of a browser or a program; None when it has ended."""
    found = await _standing(platform, session_id, platform.clock.now())
    return found and _principal(found)


async def refresh(platform: Platform, token: str, proof: str = "") -> schemas.Tokens:
    """Exchange a refresh token for its successor; the old one is used up. ``proof`` is the device's, for this call.

    Raises ``not_signed_in``, and ``clock_skew`` where the proof is not of this moment. A token that was used up already
    has been copied, by whoever came first or by whoever comes now, so it ends the session for both (RFC 9700, section
    4.14.2). But where the answer was lost it is no copy: whoever proves to be the same device may ask again, as long as
    nobody has used the successor.
    """
    now = platform.clock.now()
    async with platform.database.begin() as session:
        found = await _locked(session, _id(token), now)
        if found:
            held, user = found
            if _is_from_its_device(held, token, proof, now) and _may_follow(held, token, now):
                secret = secrets.token_urlsafe(32)
                held.prior_hash, held.secret_hash, held.used = _digest(_secret(token)), _digest(secret), now
                await audit.record(session, "auth.refresh", now=now, subject=held.id, actor=user.id, role=user.role)
                return _pair(platform, held, secret)
            held.ended = now
            await audit.record(session, "auth.reuse", now=now, subject=held.id, role="stranger", outcome="refused")
    raise QurbaniError("not_signed_in", "the session has ended")


def _may_follow(held: Session, token: str, now: datetime) -> bool:
    """Whether a successor may be given for ``token``: it is the newest, or the one before and its answer was lost."""
    shown = _digest(_secret(token))
    is_prior = held.prior_hash is not None and compare_digest(held.prior_hash, shown)
    is_lost = is_prior and held.device_key is not None and now - held.used <= RETRY
    return is_lost or compare_digest(held.secret_hash, shown)


def _is_from_its_device(held: Session, token: str, proof: str, now: datetime) -> bool:
    if held.device_key is None:
        return True
    try:
        tokens.check_possession(proof, VerifyKey(held.device_key), "POST", REFRESH, token, now_ms=to_ms(now))
    except QurbaniError as error:
        if error.code == "clock_skew":  # nobody else could have made it
            raise
        return False
    return True


async def sessions(session: AsyncSession, who: Principal, now: datetime) -> list[schemas.Session]:
    """Where ``who`` is signed in, the one last used first."""
    query = select(Session, User).join(User).where(Session.user_id == who.id, Session.ended.is_(None))
    found = [(held, user) for held, user in await session.execute(query) if now < _expiry(held, user.role)]
    return [
        schemas.Session(held.id, held.kind, held.agent, held.created, held.used, held.id == who.session)
        for held, _ in sorted(found, key=lambda row: row[0].used, reverse=True)
    ]


async def end_one(session: AsyncSession, who: Principal, session_id: UUID, now: datetime) -> None:
    """Sign out one browser or program of ``who``. Raises ``not_found`` also where it is another's."""
    mine = update(Session).where(Session.id == session_id, Session.user_id == who.id)
    if not (await session.execute(mine.values(ended=now))).rowcount:
        raise QurbaniError("not_found", "there is no such session")


async def end_all(session: AsyncSession, user_id: UUID, now: datetime, *, keep: UUID | None = None) -> None:
    """Sign an account out everywhere, but for the session ``keep``."""
    running = update(Session).where(Session.user_id == user_id, Session.ended.is_(None))
    await session.execute(running.where(Session.id.is_distinct_from(keep)).values(ended=now))


async def end_session(session: AsyncSession, token: str, now: datetime) -> None:
    """Sign out. Ending a session that has ended changes nothing."""
    await session.execute(
        update(Session)
        .where(Session.id == _id(token), Session.secret_hash == _digest(_secret(token)), Session.ended.is_(None))
        .values(ended=now)
    )


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


async def _open(
    session: AsyncSession, user: User, kind: str, platform: Platform, agent: str
) -> tuple[Session, str]:
    secret, now = secrets.token_urlsafe(32), platform.clock.now()
    held = Session(
        id=platform.new_id(), user_id=user.id, kind=kind, secret_hash=_digest(secret), agent=devices.label(agent),
        created=now, used=now,
    )  # fmt: skip
    session.add(held)
    await session.flush()
    audit.about(session, actor=user.id, role=user.role, subject=held.id)
    return held, secret


def _pair(platform: Platform, held: Session, secret: str) -> schemas.Tokens:
    access = _access_tokens(platform).issue(held.user_id, held.id, jti=platform.new_id(), now=platform.clock.now())
    return schemas.Tokens(access, f"{held.id}.{secret}", LIFE_S)


async def _locked(session: AsyncSession, id: UUID | None, now: datetime) -> tuple[Session, User] | None:
    """A program's session that goes on, locked, and whose it is."""
    query = select(Session, User).join(User).where(Session.id == id, Session.kind == API, *_GOES_ON)
    found = (await session.execute(query.with_for_update(of=Session))).first()
    return None if found is None or now >= _expiry(found[0], found[1].role) else (found[0], found[1])


_GOES_ON = Session.ended.is_(None), User.disabled.is_(None)
_STANDING = (
    select(Session.id, Session.user_id, Session.kind, Session.secret_hash, Session.device_key, Session.proved,
           Session.created, Session.used, User.role, User.language, User.second_factor)
    .join(User)
    .where(Session.id == any_(bindparam("ids", type_=ARRAY(Uuid))), *_GOES_ON)
)  # fmt: skip


async def _standing(platform: Platform, id: UUID | None, now: datetime, kind: str = "") -> Row[Any] | None:
    """A session that goes on, of this kind or of any, and what its account may do; None where there is none."""
    found = await platform.together.ask(_standings, platform, id) if id else None
    is_good = found and kind in ("", found.kind) and now < _expiry(found, found.role)
    return found if is_good else None


async def _standings(platform: Platform, ids: list[UUID]) -> list[Row[Any] | None]:
    async with platform.database.look() as session:
        found = {row.id: row for row in await session.execute(_STANDING, {"ids": ids})}
    return [found.get(id) for id in ids]


def _principal(found: Row[Any]) -> Principal:
    is_two = found.role in SECOND_FACTOR or found.second_factor is not None
    return Principal(
        found.user_id, found.role, found.language, found.device_key or b"", session=found.id, proved=found.proved,
        waits=is_two and found.proved is None,
    )  # fmt: skip


def _expiry(held: Session | Row[Any], role: str) -> datetime:
    if role == "admin":
        return held.created + ADMIN_LIFE
    return min(held.created + LIFE, held.used + IDLE)


def _access_tokens(platform: Platform) -> AccessTokens:
    return access_tokens(platform.keys.derive("access-token/1"), platform.settings.base_url)


def _device_key(text: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return VerifyKey(raw).raw
    except (binascii.Error, ValueError) as error:
        raise QurbaniError("bad_input", "device_key is no Ed25519 public key", field="device_key") from error


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
