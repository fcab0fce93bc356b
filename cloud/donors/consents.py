"""What a donor has agreed to: nothing, until they say so; each purpose for itself, and to what its text said then."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import Update, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors.models import Consent
from cloud.platform import audit

Purpose = Literal["order_mail"]
"""``order_mail``: mail about one's own orders."""

TEXTS: dict[str, str] = {"order_mail": "2026-11-23"}
"""The version of the text by which each purpose is asked for. Whoever agreed to another has not agreed to this."""


class Agreed(msgspec.Struct, frozen=True):
    """One purpose as it stands: ``given`` is null where it was never agreed to, or withdrawn."""

    purpose: Purpose
    version: str
    given: datetime | None


class Given(msgspec.Struct, frozen=True):
    """A consent of then or now."""

    purpose: str
    version: str
    given: datetime
    withdrawn: datetime | None


class Agree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    purpose: Purpose
    agreed: bool


async def give(session: AsyncSession, donor_id: UUID, purpose: Purpose, now: datetime) -> None:
    """Agree to a purpose, as its text is now. Repeating it changes nothing."""
    if not await has_given(session, donor_id, purpose):
        await withdraw(session, donor_id, purpose, now)  # what was agreed to by an older text
        session.add(Consent(donor_id=donor_id, purpose=purpose, version=TEXTS[purpose], given=now))
        await session.flush()


async def withdraw(session: AsyncSession, donor_id: UUID, purpose: str, now: datetime) -> None:
    """From this commit on nobody may. Repeating it changes nothing."""
    await session.execute(_of(donor_id).where(Consent.purpose == purpose).values(withdrawn=now))


async def withdraw_all(session: AsyncSession, donor_id: UUID, now: datetime) -> None:
    await session.execute(_of(donor_id).values(withdrawn=now))


async def choose(session: AsyncSession, donor_id: UUID, told: Agree, now: datetime) -> list[Agreed]:
    """Give or withdraw a purpose; all as they stand then."""
    await (give if told.agreed else withdraw)(session, donor_id, told.purpose, now)
    audit.about(session, subject=donor_id, purpose=told.purpose, agreed=told.agreed)
    return await agreements(session, donor_id)


async def has_given(session: AsyncSession, donor_id: UUID, purpose: Purpose) -> bool:
    """Whether a donor agrees to this now: whoever sends asks, right before."""
    mine = Consent.donor_id == donor_id, Consent.purpose == purpose, Consent.version == TEXTS[purpose]
    return bool(await session.scalar(select(exists().where(*mine, Consent.withdrawn.is_(None)))))


async def agreements(session: AsyncSession, donor_id: UUID) -> list[Agreed]:
    """Every purpose, agreed to or not."""
    mine = select(Consent).where(Consent.donor_id == donor_id, Consent.withdrawn.is_(None))
    given = {(row.purpose, row.version): row.given for row in await session.scalars(mine)}
    return [Agreed(purpose, version, given.get((purpose, version))) for purpose, version in TEXTS.items()]


async def history(session: AsyncSession, donor_id: UUID) -> list[Given]:
    """Every consent there ever was, the oldest first."""
    rows = await session.scalars(select(Consent).where(Consent.donor_id == donor_id).order_by(Consent.given))
    return [Given(row.purpose, row.version, row.given, row.withdrawn) for row in rows]


def _of(donor_id: UUID) -> Update:
    return update(Consent).where(Consent.donor_id == donor_id, Consent.withdrawn.is_(None))
