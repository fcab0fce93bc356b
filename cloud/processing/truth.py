"""The truth gate: every message, page and paper that says "done" asks here first.

Done is an order whose every share has a seat on an animal that was sacrificed, on a film that stands, within the days
and hours of Eid at its site as they are known now, or of which a person said that it counts all the same, and why.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.executors import service as executors
from cloud.processing import checks, overrides
from cloud.uploads import service as uploads
from shared.domain.order import DONE


async def is_done(session: AsyncSession, order_id: UUID) -> bool:
    """Whether a donor may be told that this order is done. Raises ``not_found``."""
    order = await donors.get(session, order_id)
    if order.state not in DONE:
        return False
    animals = await executors.animals_of(session, order_id)
    seated = {share.id for share in await executors.shares_on(session, *(animal.id for animal in animals))}
    if not seated.issuperset(share.id for share in order.shares):
        return False
    sacrifices = await executors.sacrifices_of(session, order_id)
    proved = {each.animal_id for each in sacrifices if each.verified and await _stands(session, each)}
    return proved.issuperset(animal.id for animal in animals)


async def as_told(session: AsyncSession, order: donors.Order) -> donors.Order:
    """An order as it may be told now: one that cannot be said to be done waits for its proof again."""
    if order.state not in DONE or await is_done(session, order.id):
        return order
    before = [step for step in order.timeline if step.state not in DONE]
    return msgspec.structs.replace(order, state="sacrificed", timeline=before)


async def _stands(session: AsyncSession, sacrifice: executors.Sacrifice) -> bool:
    video = await uploads.authentic_video(session, [sacrifice.id])
    if video is None:
        return False
    doubts = await checks.timing_doubts(session, video.id, sacrifice)
    return not doubts or bool(await overrides.of(session, [sacrifice.id]))
