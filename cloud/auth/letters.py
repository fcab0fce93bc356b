"""Letters about accounts, and the links in them.

What a link says is made of its id with a key of the hub (HMAC-SHA256), so it stands in the letter and nowhere else: not
in the database, not in an event. It works once, for a while, and only until there is a newer one for the same.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from hmac import compare_digest, digest
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import schemas
from cloud.auth.models import Link, User
from cloud.platform import outbox
from cloud.platform.core import Platform
from shared.errors import QurbaniError
from shared.events import NotificationWanted

CONFIRM, RESET, INVITED = "confirm_address", "reset_password", "invited"
LIVES = {CONFIRM: timedelta(days=1), RESET: timedelta(minutes=30), INVITED: timedelta(days=3)}
PATHS = {
    CONFIRM: "/confirm", RESET: "/reset", INVITED: "/reset", "address_taken": "/forgotten",
    "password_changed": "/forgotten", "second_factor_removed": "/forgotten",
}  # fmt: skip
"""Where each letter leads."""


async def send(session: AsyncSession, platform: Platform, user: User, template: str) -> None:
    """Write to the owner of an account; what is in ``LIVES`` with a link of its own."""
    id, now = platform.new_id(), platform.clock.now()
    if template in LIVES:
        older = update(Link).where(Link.user_id == user.id, Link.purpose == template, Link.used.is_(None))
        await session.execute(older.values(used=now))
        session.add(Link(id=id, user_id=user.id, purpose=template, expires=now + LIVES[template]))
    wanted = NotificationWanted(id, user.id, None, template, {})
    await outbox.publish(session, "notification.send", wanted, subject=user.id, now=now, new_id=platform.new_id)


async def letter(
    session: AsyncSession, platform: Platform, id: UUID, user_id: UUID, template: str
) -> schemas.Letter | None:
    """To whom to write, and the address in it; None where its link is of no use any more, or nobody is left."""
    user = await session.get_one(User, user_id)
    if not user.person.email:
        return None
    address = platform.settings.base_url + PATHS[template]
    if template in LIVES:
        link = await session.get_one(Link, id)
        if not _is_good(link, platform.clock.now()):
            return None
        address += f"?token={secret(platform, link)}"
    return schemas.Letter(user.person.name, user.person.email, user.language, address)


async def opened(session: AsyncSession, platform: Platform, token: str, *purposes: str) -> tuple[Link, User]:
    """The link that a letter's ``token`` is of, locked until it is used, and whose it is. Raises ``bad_link``."""
    query = select(Link, User).join(User).where(Link.id == _id(token), Link.purpose.in_(purposes))
    found = (await session.execute(query.with_for_update(of=Link))).first()
    if found is None or not compare_digest(secret(platform, found[0]), token):
        raise QurbaniError("bad_link")
    link, user = found
    if not _is_good(link, platform.clock.now()) or user.disabled:
        raise QurbaniError("bad_link")
    return link, user


def secret(platform: Platform, link: Link) -> str:
    """What the letter says, and nobody else can."""
    mac = digest(platform.keys.derive("link/1"), f"{link.purpose}/{link.id}".encode(), hashlib.sha256)
    return f"{link.id}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _is_good(link: Link, now: datetime) -> bool:
    return link.used is None and now < link.expires


def _id(token: str) -> UUID | None:
    try:
        return UUID(token.partition(".")[0])
    except ValueError:
        return None
