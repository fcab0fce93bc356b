"""Certificates: that an order was carried out, as a signed PDF, and as a page where anybody may check one by its code.

One is issued when the truth gate lets us say so, and is withdrawn for good when that turns out otherwise. Whoever looks
asks the gate again, so that a word of ours never outlives what it says.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.executors import service as executors
from cloud.guests import paper
from cloud.guests.models import Certificate
from cloud.guests.schemas import Certified, Checked, Issued, Shown
from cloud.platform import audit
from cloud.platform.core import Platform
from cloud.platform.settings import Settings
from cloud.processing import service as processing
from cloud.uploads import service as uploads
from shared import papers
from shared.clock import from_ms
from shared.errors import QurbaniError
from shared.papers import Paper

KIND = "certificate"

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is taken for another."""
_GROUPS, _GROUP = 3, 4
"""Of a code; 60 bits, so that whoever tries a million an hour finds one of a million in a hundred years."""
_MISREAD = str.maketrans("OILU", "011V")


async def issue(session: AsyncSession, settings: Settings, order_id: UUID, donor_id: UUID, now: datetime) -> Issued:
    """The certificate of a donor's own order; again the same, as long as it stands.

    Raises ``not_found``, or ``bad_transition`` as long as it cannot be said that the order is done.
    """
    order = await donors.get(session, order_id, donor_id=donor_id)
    await donors.hold(session, [order_id])
    if not await processing.is_done(session, order_id):
        raise QurbaniError("bad_transition", "it is not proved that this order is done", state=order.state)
    row = await _standing(session, order_id)
    if row is None:
        row = Certificate(code=new_code(), order_id=order_id, issued=now,
                          shown=msgspec.to_builtins(await _shown(session, order)))  # fmt: skip
        session.add(row)
        await session.flush()
    audit.about(session, subject=order_id, code=row.code)
    return _issued(row, settings)


async def of_order(session: AsyncSession, settings: Settings, order_id: UUID) -> Issued | None:
    """The certificate of an order that stands now."""
    row = await _standing(session, order_id)
    return _issued(row, settings) if row and await processing.is_done(session, order_id) else None


async def pdf(session: AsyncSession, platform: Platform, order_id: UUID, donor_id: UUID, language: str) -> bytes:
    """The certificate of a donor's own order as a file that is signed. Raises ``not_found`` where none stands."""
    order = await donors.get(session, order_id, donor_id=donor_id)
    row = await _standing(session, order_id)
    if row is None or not await processing.is_done(session, order_id):
        raise QurbaniError("not_found", "there is no certificate of this order")
    shown = msgspec.convert(row.shown, Shown)
    facts = Certified(
        "", row.code, _address(platform.settings, row.code), order.reference,
        [paper.written([share.name, *share.spellings]) for share in order.shares if not share.anonymous],
        shown.species, shown.shares, shown.site, shown.sacrificed, row.issued, language,
    )  # fmt: skip
    page = await asyncio.to_thread(paper.draw, facts, shown.timezone)
    signed: Paper = papers.sign(
        platform.keys.sign, KIND, msgspec.structs.replace(facts, sha256=sha256(page).hexdigest()))
    return papers.on_pdf(signed, page)


async def check(session: AsyncSession, code: str) -> Checked:
    """What anybody may know of a certificate. Raises ``not_found``, whatever the code looks like."""
    row = await session.get(Certificate, tidy(code))
    if row is None:
        raise QurbaniError("not_found", "there is no such certificate")
    stands = row.withdrawn is None and await processing.is_done(session, row.order_id)
    audit.about(session, subject=row.order_id, code=row.code)
    return Checked(row.code, stands, row.issued, row.withdrawn, msgspec.convert(row.shown, Shown))


async def withdraw(session: AsyncSession, order_id: UUID, now: datetime) -> None:
    """What was certified of an order turned out otherwise."""
    mine = update(Certificate).where(Certificate.order_id == order_id, Certificate.withdrawn.is_(None))
    for code in await session.scalars(mine.values(withdrawn=now).returning(Certificate.code)):
        await audit.record(session, "guests.withdraw", now=now, subject=order_id, code=code)


def new_code() -> str:
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def tidy(code: str) -> str:
    """A code as it is written, from what somebody typed: small letters, no dashes, O for 0."""
    letters = [letter for letter in code.upper()[:40].translate(_MISREAD) if letter in ALPHABET]
    return "-".join("".join(letters[at : at + _GROUP]) for at in range(0, len(letters), _GROUP))


async def _standing(session: AsyncSession, order_id: UUID) -> Certificate | None:
    mine = select(Certificate).where(Certificate.order_id == order_id, Certificate.withdrawn.is_(None))
    return await session.scalar(mine)


async def _shown(session: AsyncSession, order: donors.Order) -> Shown:
    """What the proof of an order tells: where it was, and when the last of its animals was filmed."""
    sacrifices = [each for each in await executors.sacrifices_of(session, order.id) if each.verified]
    sites = [await executors.site(session, id) for id in dict.fromkeys(each.site_id for each in sacrifices)]
    times = [await _when(session, each) for each in sacrifices]
    names = " · ".join(site.name for site in sites)
    return Shown(order.species, len(order.shares), names, sites[0].timezone, max(times))


async def _when(session: AsyncSession, sacrifice: executors.Sacrifice) -> datetime:
    """As the manifest of the capture has it, which is signed; else as the box said."""
    video = await uploads.authentic_video(session, [sacrifice.id])
    moment = await processing.captured(session, video.id) if video else None
    return from_ms(moment.wall_ms if moment else sacrifice.opened["wall_ms"]).astimezone(UTC)


def _issued(row: Certificate, settings: Settings) -> Issued:
    return Issued(row.code, _address(settings, row.code), row.issued)


def _address(settings: Settings, code: str) -> str:
    return f"{settings.base_url}/check/{code}"
