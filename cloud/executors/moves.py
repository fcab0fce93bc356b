"""Shares that go from one animal to another: by a plan that somebody has looked at, and each donor is told why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.donors.service import Share
from cloud.executors import filling, freezing, models, schemas
from cloud.executors.allocation import tell_shares
from cloud.executors.sites import site
from cloud.platform import audit, outbox
from shared.domain.animal import ineligible
from shared.errors import QurbaniError
from shared.events import NotificationWanted
from shared.ids import NewId


async def filling_of(session: AsyncSession, site_id: UUID, *, convert: bool) -> schemas.Filling:
    """What could be done about the animals of a site that did not fill. Raises ``not_found``."""
    await site(session, site_id)
    return await _shown(session, await _plan(session, site_id, convert=convert))


async def fill(
    session: AsyncSession, site_id: UUID, told: schemas.ApproveFilling, *, by: UUID, now: datetime, new_id: NewId
) -> schemas.Filling:
    """Carry out the plan that somebody has looked at. Raises ``not_found``, or ``stale`` where it is another by now."""
    await site(session, site_id)
    plan = await _plan(session, site_id, convert=told.convert)
    if plan.name() != told.plan:
        raise QurbaniError("stale", "shares or animals have changed since this plan was made")
    shown = await _shown(session, plan)
    await _reseat(session, plan)
    session.add_all(
        models.Move(share_id=each.share_id, at=now, from_id=each.from_id, to_id=each.to_id, why=each.why, by=by)
        for each in plan.changes
    )
    await session.flush()
    shares = await donors.shares(session, [each.share_id for each in plan.changes])
    why = {each.share_id: each.why for each in plan.changes}
    for species, mine in await _converted(session, plan, shares):
        await donors.become(session, mine, species, now)
    for donor_id, order_id, reason in sorted({(share.donor_id, share.order_id, why[share.id]) for share in shares}):
        facts = {"occasion": f"{told.plan}/{reason}", "why": reason}
        wanted = NotificationWanted(new_id(), donor_id, order_id, "share_moved", facts)
        await outbox.publish(session, "notification.send", wanted, subject=donor_id, now=now)
    audit.about(session, shares=len(plan.changes))
    await tell_shares(session, site_id, shares, {each.share_id: each.to_id for each in plan.changes})
    return shown


async def last_why(session: AsyncSession, share_ids: Collection[UUID]) -> filling.Why | None:
    """Why the last of these shares that went to another animal did."""
    row = models.Move
    why: filling.Why | None = await session.scalar(
        select(row.why).where(row.share_id.in_(share_ids)).order_by(row.at.desc()).limit(1))
    return why


async def _plan(session: AsyncSession, site_id: UUID, *, convert: bool) -> filling.Plan:
    herd = await _herd(session, site_id)
    seated = await donors.shares(session, [share_id for each in herd for share_id in each.shares])
    orders: dict[UUID, list[UUID]] = defaultdict(list)
    for share in await donors.shares_of(session, {share.order_id for share in seated}):
        orders[share.order_id].append(share.id)
    return filling.plan(herd, list(orders.values()), convert=convert)


async def _herd(session: AsyncSession, site_id: UUID) -> list[filling.Standing]:
    """The animals of a site, locked, but for those that were sacrificed."""
    sheep_months = (await session.get_one(models.Site, site_id)).sheep_months
    rows = await freezing.locked(session, models.Animal.site_id == site_id)
    gone = set(await session.scalars(select(models.Sacrifice.animal_id).where(models.Sacrifice.site_id == site_id)))
    on: dict[UUID, list[UUID]] = defaultdict(list)
    for seat in await session.scalars(select(models.Seat).where(models.Seat.animal_id.in_(rows))):
        on[seat.animal_id].append(seat.share_id)
    return [
        filling.Standing(
            row.id, row.species, row.capacity, tuple(on[row.id]), row.frozen is not None,
            not ineligible(row.species, row.age_months, row.defects or [], sheep_months),
        )
        for row in rows.values() if row.id not in gone
    ]  # fmt: skip


async def _converted(
    session: AsyncSession, plan: filling.Plan, shares: Collection[Share]
) -> list[tuple[str, set[UUID]]]:
    """The orders that get small animals, by the species of these."""
    to = {each.share_id: each.to_id for each in plan.changes if each.why == "converted"}
    small = select(models.Animal.id, models.Animal.species).where(models.Animal.id.in_(to.values()))
    kind = dict((await session.execute(small)).tuples().all())
    orders: dict[str, set[UUID]] = defaultdict(set)
    for share in shares:
        if share.id in to:
            orders[kind[to[share.id]]].add(share.order_id)
    return sorted(orders.items())


async def _reseat(session: AsyncSession, plan: filling.Plan) -> None:
    moving = [each.share_id for each in plan.changes]
    await session.execute(delete(models.Seat).where(models.Seat.share_id.in_(moving)))
    target = {each.to_id for each in plan.changes}
    rows = {row.id: row for row in await session.scalars(select(models.Animal).where(models.Animal.id.in_(target)))}
    taken: dict[UUID, set[int]] = defaultdict(set)
    for seat in await session.scalars(select(models.Seat).where(models.Seat.animal_id.in_(target))):
        taken[seat.animal_id].add(seat.number)
    for each in plan.changes:
        capacity = rows[each.to_id].capacity
        number = min(set(range(1, capacity + 1)) - taken[each.to_id])
        taken[each.to_id].add(number)
        session.add(models.Seat(share_id=each.share_id, animal_id=each.to_id, number=number, capacity=capacity))


async def _shown(session: AsyncSession, plan: filling.Plan) -> schemas.Filling:
    ids = {id for each in plan.changes for id in (each.from_id, each.to_id)}
    rows = {row.id: row for row in await session.scalars(select(models.Animal).where(models.Animal.id.in_(ids)))}
    moving = [each.share_id for each in plan.changes]
    references = {share.id: share.reference for share in await donors.shares(session, moving)}
    return schemas.Filling(
        plan.name(),
        [
            schemas.Moved(
                each.share_id, references[each.share_id], each.from_id, rows[each.from_id].tag, each.to_id,
                rows[each.to_id].tag, rows[each.to_id].species, each.why,
            )
            for each in plan.changes
        ],
        list(plan.short),
        list(plan.stuck),
    )  # fmt: skip
