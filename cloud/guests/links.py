"""Links by which somebody without an account follows one order: from a letter, or from the donor.

What a link says is made of its id with a key of the hub (HMAC-SHA256), so it stands in the letter and nowhere else.
Whether one never was, has expired or was revoked, nobody learns: all of these are the same to those who ask.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime, timedelta
from hmac import compare_digest, digest
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.executors import service as executors
from cloud.guests.models import Link
from cloud.guests.schemas import GuestLink, Tracked
from cloud.platform import audit
from cloud.platform.core import Platform
from cloud.processing import service as processing
from shared.errors import QurbaniError

LIFE = timedelta(days=60)
MOST = 10
"""Links of one order that are good at a time, of those that its donor makes."""

_MAC = 16


async def make(session: AsyncSession, platform: Platform, order_id: UUID, donor_id: UUID, now: datetime) -> GuestLink:
    """A link to one of a donor's own orders. Raises ``not_found``, or ``conflict`` where there are :data:`MOST`."""
    good = [each for each in await of_order(session, platform, order_id, donor_id, now) if each.url]
    if len(good) >= MOST:
        raise QurbaniError("conflict", f"{MOST} links to this order are good already: revoke one")
    link = Link(id=platform.new_id(), order_id=order_id, donor_id=donor_id, created=now, expires=now + LIFE)
    session.add(link)
    await session.flush()
    audit.about(session, subject=order_id, link=str(link.id))
    return _told(platform, link, now)


async def in_letter(session: AsyncSession, platform: Platform, order: donors.Order, letter_id: UUID) -> str:
    """The address that a letter about an order says. The same letter, however often it is sent, says the same."""
    now = platform.clock.now()
    row = {"id": letter_id, "order_id": order.id, "donor_id": order.donor_id, "created": now, "expires": now + LIFE}
    new = insert(Link).values(row).on_conflict_do_nothing().returning(Link.id)
    if (await session.execute(new)).first():
        await audit.record(session, "guests.in_letter", now=now, subject=order.id, link=str(letter_id))
    return _told(platform, await session.get_one(Link, letter_id), now).url


async def of_order(
    session: AsyncSession, platform: Platform, order_id: UUID, donor_id: UUID | None, now: datetime
) -> list[GuestLink]:
    """The links to an order, the newest first. Raises ``not_found`` also where it is another donor's."""
    await donors.get(session, order_id, donor_id=donor_id)
    rows = await session.scalars(select(Link).where(Link.order_id == order_id).order_by(Link.created.desc(), Link.id))
    return [_told(platform, row, now) for row in rows]


async def revoke(
    session: AsyncSession, order_id: UUID, link_id: UUID, donor_id: UUID | None, now: datetime
) -> None:
    """From now on it shows nothing. Repeating it changes nothing. Raises ``not_found``."""
    await donors.get(session, order_id, donor_id=donor_id)
    link = await session.get(Link, link_id)
    if link is None or link.order_id != order_id:
        raise QurbaniError("not_found", "there is no such link")
    link.revoked = link.revoked or now
    audit.about(session, subject=order_id, link=str(link_id))


async def forget(session: AsyncSession, donor_id: UUID, now: datetime) -> None:
    """Revoke every link to a donor's orders."""
    mine = update(Link).where(Link.donor_id == donor_id, Link.revoked.is_(None))
    await session.execute(mine.values(revoked=now))


async def follow(session: AsyncSession, platform: Platform, token: str, now: datetime) -> Tracked:
    """What the holder of a link sees, as far as it is true now. Raises ``not_found``, always in the same words."""
    link = await session.get(Link, id) if (id := _id(token)) else None
    is_ours = link is not None and compare_digest(_token(platform, link.id).encode(), token.encode())
    if link is None or not is_ours or not _is_good(link, now):
        raise QurbaniError("not_found", "there is no such link")
    order = await processing.as_told(session, await donors.get(session, link.order_id))
    audit.about(session, subject=order.id, link=str(link.id))
    animals = await executors.animals_of(session, order.id)
    sites = [await executors.site(session, id) for id in sorted({animal.site_id for animal in animals})]
    return Tracked(
        order.reference, order.species, len(order.shares), order.state, order.timeline, [site.name for site in sites],
        next((site.timezone for site in sites), "UTC"),
    )  # fmt: skip


def _told(platform: Platform, link: Link, now: datetime) -> GuestLink:
    url = f"{platform.settings.base_url}/track/{_token(platform, link.id)}" if _is_good(link, now) else ""
    return GuestLink(link.id, url, link.created, link.expires, link.revoked)


def _is_good(link: Link, now: datetime) -> bool:
    return link.revoked is None and now < link.expires


def _token(platform: Platform, link_id: UUID) -> str:
    mac = digest(platform.keys.derive("guest/1"), link_id.bytes, hashlib.sha256)[:_MAC]
    return base64.urlsafe_b64encode(link_id.bytes + mac).rstrip(b"=").decode()


def _id(token: str) -> UUID | None:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    return UUID(bytes=raw[:16]) if len(raw) == 16 + _MAC else None
