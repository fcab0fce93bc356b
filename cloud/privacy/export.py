"""All that the hub holds of a donor, in one document (GDPR, articles 15 and 20)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import service as auth
from cloud.donors import service as donors
from cloud.executors import service as executors
from cloud.notifications import service as notifications
from cloud.platform import audit
from cloud.platform.paging import MOST, Paging
from cloud.privacy.schemas import Export
from cloud.processing import service as processing
from cloud.uploads import service as uploads


async def export(session: AsyncSession, donor_id: UUID) -> Export:
    """Raises ``not_found``."""
    donor = await donors.donor(session, donor_id)
    orders = await donors.every_order(session, donor_id)
    notices = [
        notice for order in orders for notice in await notifications.notifications(session, Paging(MOST), order.id)
    ]
    return Export(
        donor=_plain(donor),
        account=_plain(await auth.account(session, donor_id)),
        consents=[_plain(each) for each in await donors.history(session, donor_id)],
        orders=[await _order(session, order) for order in orders],
        notifications=[_plain(notice) for notice in notices],
        deeds=[_plain(deed) for deed in await audit.deeds(session, donor_id)],
    )


async def _order(session: AsyncSession, order: donors.Order) -> dict[str, Any]:
    """The order as its donor sees it, with its money, its animals, and what became of each."""
    ledger = await donors.ledger(session, order.id)
    sacrifices = await executors.sacrifices_of(session, order.id)
    names = [share.name for share in order.shares]
    films = []
    for sacrifice in sacrifices:
        video = await uploads.authentic_video(session, [sacrifice.id])
        if video:
            heard = await processing.heard(session, video.id, names)
            seen = await uploads.seen_by(session, video.id, order.donor_id)
            films.append({"video": str(video.id), "seen": seen, "heard": [_plain(each) for each in heard]})
    animals = await executors.animals_of(session, order.id)
    return _plain(order) | {
        "ledger": _plain(ledger), "animals": [_plain(animal) for animal in animals],
        "sacrifices": [_plain(sacrifice) for sacrifice in sacrifices], "films": films,
    }  # fmt: skip


def _plain(told: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(told)
    return found
