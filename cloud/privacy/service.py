"""Erasing what the hub knows of a donor, and handing it out.

Erased is by destroying keys: of the donor, and of verdicts that name somebody for whom the donor gave. Orders, payments
and the ledger stay, with an id that tells nobody anything, as the law on book-keeping asks; so does the audit, which
never held more than ids. An order that is under way needs the name at the site and its money settled first.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import service as auth
from cloud.donors import service as donors
from cloud.executors import service as executors
from cloud.guests import service as guests
from cloud.platform import audit, personal
from cloud.platform.core import Platform
from cloud.platform.keys import Keys
from cloud.privacy.models import Erasure
from cloud.privacy.schemas import EraseMe, Reason, Receipt
from cloud.processing import service as processing
from shared import papers
from shared.errors import QurbaniError
from shared.papers import Paper

RECEIPT = "erasure"
"""The kind of paper that a receipt is."""

KEPT = ["orders", "payments", "ledger", "audit", "videos"]


async def erase(session: AsyncSession, keys: Keys, donor_id: UUID, reason: Reason, by: UUID, now: datetime) -> Paper:
    """Forget a donor; the receipt, a signed paper. Repeating it gives the first receipt.

    Raises ``not_found``, or ``open_orders`` where one is paid for and under way.
    """
    if earlier := await session.get(Erasure, donor_id):
        return papers.read(earlier.receipt.encode())
    shares = await donors.forget(session, donor_id, by, now)
    sites = await executors.forget_shares(session, [share.id for share in shares])
    verdicts = await processing.naming(session, sites, {share.name for share in shares})
    await guests.forget(session, donor_id, now)
    await auth.close_account(session, donor_id, now)
    await personal.destroy(session, [donor_id, *verdicts], now)
    told = Receipt(donor_id, now, reason, 1 + len(verdicts), len(shares), sorted(sites), KEPT)
    receipt = papers.sign(keys.sign, RECEIPT, told)
    session.add(Erasure(donor_id=donor_id, at=now, reason=reason, receipt=msgspec.json.encode(receipt).decode()))
    await session.flush()
    audit.about(session, subject=donor_id, reason=reason)
    return receipt


async def erase_me(session: AsyncSession, platform: Platform, donor_id: UUID, told: EraseMe, now: datetime) -> Paper:
    """As :func:`erase`, for whoever knows their password. Raises ``bad_credentials``, too."""
    who = await donors.donor(session, donor_id)
    await auth.check_password(session, platform, who.email, told.password)
    return await erase(session, platform.keys, donor_id, "asked", donor_id, now)


async def receipt(session: AsyncSession, donor_id: UUID) -> Paper:
    """The receipt of an erasure. Raises ``not_found``."""
    found = await session.get(Erasure, donor_id)
    if found is None:
        raise QurbaniError("not_found", "nobody by that id was erased")
    return papers.read(found.receipt.encode())


async def erased(session: AsyncSession) -> list[UUID]:
    """Who was erased, the latest first."""
    return list(await session.scalars(select(Erasure.donor_id).order_by(Erasure.at.desc())))
