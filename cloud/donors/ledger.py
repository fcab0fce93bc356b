"""The ledger of an order: double entry, in minor units, append only; the database refuses what does not balance.

The account ``donor`` is what the donor owes: placing an order charges it and gives to ``animal``, ``transport`` and
``fee``; a payment gives to it from the till (``cash``, ``transfer``, ``card``) or from another order (``moved``). Less
than nothing is owed to the donor.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import models
from cloud.donors.schemas import Entry, Ledger, Posting

DONOR = "donor"


async def post(
    session: AsyncSession, order_id: UUID, kind: str, lines: Mapping[str, int], currency: str, now: datetime
) -> None:
    """One entry. ``lines`` are minor units by account; they sum to zero."""
    entry = models.Entry(order_id=order_id, kind=kind, at=now)
    session.add(entry)
    await session.flush()
    rows = [
        {"entry_id": entry.id, "account": account, "currency": currency, "minor": minor}
        for account, minor in lines.items() if minor
    ]  # fmt: skip
    if rows:
        await session.execute(insert(models.Posting), rows)


async def owed(session: AsyncSession, order_id: UUID) -> int:
    """What the donor still owes for an order."""
    query = select(func.coalesce(func.sum(models.Posting.minor), 0)).join(models.Entry)
    mine = models.Entry.order_id == order_id, models.Posting.account == DONOR
    return int((await session.execute(query.where(*mine))).scalar_one())


async def charged(session: AsyncSession, order_id: UUID) -> dict[str, int]:
    """What an order was charged, by account."""
    query = (
        select(models.Posting.account, func.sum(models.Posting.minor))
        .join(models.Entry)
        .where(models.Entry.order_id == order_id, models.Entry.kind == "charge")
        .group_by(models.Posting.account)
    )
    return {account: int(minor) for account, minor in await session.execute(query)}


async def take_back(session: AsyncSession, order: models.Order, now: datetime) -> None:
    """The order is called off: undo what it was charged."""
    lines = {account: -minor for account, minor in (await charged(session, order.id)).items()}
    if lines and order.currency:
        await post(session, order.id, "call_off", lines, order.currency, now)


async def of(session: AsyncSession, order_id: UUID) -> Ledger:
    """Every entry, the oldest first, and what each account comes to."""
    query = (
        select(models.Entry, models.Posting)
        .join(models.Posting)
        .where(models.Entry.order_id == order_id)
        .order_by(models.Entry.id, models.Posting.id)
    )
    entries: dict[int, Entry] = {}
    accounts: dict[str, int] = {}
    for entry, posting in (await session.execute(query)).tuples():
        line = Posting(posting.account, posting.minor, posting.currency)
        entries.setdefault(entry.id, Entry(entry.kind, entry.at, [])).postings.append(line)
        accounts[posting.account] = accounts.get(posting.account, 0) + posting.minor
    return Ledger(list(entries.values()), accounts, sum(accounts.values()))
