"""Allocation: which share gets a seat on which animal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.donors.service import Order, Share
from cloud.executors import feed, freezing, models, schemas
from cloud.executors.sites import as_animal, site
from cloud.platform.access import Principal
from shared.domain.animal import ineligible
from shared.domain.order import ORDER
from shared.errors import QurbaniError


async def allocate(
    session: AsyncSession, order_id: UUID, where: schemas.Allocate, now: datetime
) -> list[schemas.Animal]:
    """Give every share of a paid order a seat at one site: all of them or none. The animals they are on.

    Animals that have begun to fill come first, so that few stay half empty. An order that is allocated stays
    as it is. Raises ``full`` where there are too few free seats, ``bad_transition`` for an order not paid, ``conflict``
    for one that is wanted elsewhere.
    """
    if where.site_id:
        await site(session, where.site_id)
    order = await donors.get(session, order_id)
    if where.site_id and order.site_id not in (None, where.site_id):
        raise QurbaniError("conflict", "the donor wants this order at another site")
    if await donors.move(session, order_id, "allocated", now):
        named = where.site_id or order.site_id
        wanted, found = len(order.shares), 0
        for site_id in [named] if named else await _places(session, order, where.country):
            free = await _free_seats(session, site_id, order.species, wanted)
            if len(free) == wanted:
                break
            found = max(found, len(free))
        else:
            raise QurbaniError("full", f"{found} of {wanted} shares of a {order.species} are free at one site")
        taken = list(zip(order.shares, free, strict=True))
        session.add_all(
            models.Seat(share_id=share.id, animal_id=on.id, number=number, capacity=on.capacity)
            for share, (on, number) in taken
        )
        await session.flush()
        await tell_shares(session, site_id, order.shares, {share.id: on.id for share, (on, _) in taken})
    return await animals_of(session, order_id)


async def tell_shares(
    session: AsyncSession, site_id: UUID, shares: Collection[Share], on: Mapping[UUID, UUID]
) -> None:
    """Tell the boxes of a site which animal each of these shares is ``on``."""
    by_donor = sorted(shares, key=lambda share: (share.donor_id, share.id))
    for donor_id, theirs in groupby(by_donor, key=lambda share: share.donor_id):
        news = [("share", share.id, _told(share, on[share.id])) for share in theirs]
        await feed.tell(session, site_id, news, about=donor_id)


def _told(share: Share, animal_id: UUID) -> dict[str, Any]:
    """What a site needs to say the name. That it is of the living is not said, as boxes of before do not know it."""
    fields = {
        "animal_id": str(animal_id), "reference": share.reference, "name": share.name, "language": share.language,
        "spellings": share.spellings,
    }  # fmt: skip
    return fields | ({"deceased": True} if share.deceased else {})


async def call_off(session: AsyncSession, order_id: UUID, who: Principal, now: datetime) -> Order:
    """End an order and free its seats: a donor's own, or the staff anybody's.

    Raises ``not_found``, or ``bad_transition`` where it is too far along or one of its shares is frozen to an animal:
    then there is only a remedy.
    """
    is_donor = who.role == "donor"
    await donors.get(session, order_id, donor_id=who.id if is_donor else None)
    taken = await animals_of(session, order_id)
    on = await freezing.locked(session, models.Animal.id.in_([animal.id for animal in taken]))
    order = await donors.get(session, order_id)
    if any(row.frozen for row in on.values()) and order.state not in donors.CALLED_OFF:
        raise QurbaniError("bad_transition", "the names have been fixed to an animal", state=order.state)
    if ORDER.rank(order.state) > ORDER.rank("allocated") and order.state not in donors.CALLED_OFF:
        raise QurbaniError("bad_transition", f"the order is {order.state}", state=order.state)
    ended = await donors.call_off(session, order_id, "donor" if is_donor else "admin", who.id, now)
    await free(session, [share.id for share in order.shares])
    return ended


async def free(session: AsyncSession, share_ids: Collection[UUID]) -> None:
    """Take these shares off their animals, and tell the sites."""
    gone = delete(models.Seat).where(models.Seat.share_id.in_(share_ids))
    seats = (await session.execute(gone.returning(models.Seat.share_id, models.Seat.animal_id))).all()
    on = models.Animal.id.in_({row.animal_id for row in seats})
    where = await session.execute(select(models.Animal.id, models.Animal.site_id).where(on))
    sites = dict(where.tuples().all())
    for site_id in sorted(set(sites.values())):
        mine = [row.share_id for row in seats if sites[row.animal_id] == site_id]
        await feed.tell(session, site_id, [("share", share_id, None) for share_id in mine])


async def animals_of(session: AsyncSession, order_id: UUID) -> list[schemas.Animal]:
    """The animals on which an order has shares."""
    order = await donors.get(session, order_id)
    seats = select(models.Seat.animal_id).where(models.Seat.share_id.in_(share.id for share in order.shares))
    query = select(models.Animal).where(models.Animal.id.in_(seats)).order_by(models.Animal.id)
    return [as_animal(row) for row in await session.scalars(query)]


async def shares_on(session: AsyncSession, *animal_ids: UUID) -> list[Share]:
    """The shares of these animals that are taken, in the order of their ids."""
    ids = await session.scalars(select(models.Seat.share_id).where(models.Seat.animal_id.in_(animal_ids)))
    return await donors.shares(session, ids.all())


async def forget_shares(session: AsyncSession, share_ids: Collection[UUID]) -> set[UUID]:
    """Tell the sites to forget whose these shares are; which sites those are."""
    query = (
        select(models.Animal.site_id, models.Seat.share_id)
        .join(models.Animal, models.Animal.id == models.Seat.animal_id)
        .where(models.Seat.share_id.in_(share_ids))
        .order_by(models.Animal.site_id, models.Seat.share_id)
    )
    seats = (await session.execute(query)).all()
    for site_id, taken in groupby(seats, key=lambda seat: seat.site_id):
        await feed.tell(session, site_id, [("share", seat.share_id, None) for seat in taken])
    return {seat.site_id for seat in seats}


async def _places(session: AsyncSession, order: Order, country: str | None) -> list[UUID]:
    """The sites that may have room for an order at no more than it cost: the cheapest first, then the fullest."""
    here = models.Site.country == country if country else models.Site.id.is_not(None)
    sites = set(await session.scalars(select(models.Site.id).where(here)))
    gone = select(models.Sacrifice.animal_id)
    seats = select(func.count()).where(models.Seat.animal_id == models.Animal.id).scalar_subquery()
    loose = models.Animal.species == order.species, models.Animal.frozen.is_(None), models.Animal.id.not_in(gone)
    room = await session.execute(
        select(models.Animal.site_id, func.sum(models.Animal.capacity - seats)).where(*loose)
        .group_by(models.Animal.site_id)
    )  # fmt: skip
    of = order.species, order.currency
    prices = {each.site_id: each.minor for each in await donors.prices(session) if (each.species, each.currency) == of}
    count = len(order.shares)
    fitting = [
        (prices.get(site_id, prices.get(None, 0)), free, site_id)
        for site_id, free in room.tuples() if site_id in sites and free >= count
    ]  # fmt: skip
    return [site_id for price, _, site_id in sorted(fitting) if order.minor is None or price * count <= order.minor]


async def _free_seats(
    session: AsyncSession, site_id: UUID, species: str, wanted: int
) -> list[tuple[models.Animal, int]]:
    """At most ``wanted`` free seats on animals that count, which are locked, so that nobody else counts the same."""
    sheep_months = (await session.get_one(models.Site, site_id)).sheep_months
    here = (models.Animal.site_id == site_id, models.Animal.species == species)
    query = select(models.Animal).where(*here).order_by(models.Animal.id).with_for_update()
    locked = (await session.scalars(query)).all()
    barred = set(await session.scalars(select(models.Sacrifice.animal_id).where(models.Sacrifice.site_id == site_id)))
    seats = await session.execute(
        select(models.Seat.animal_id, func.array_agg(models.Seat.number))
        .where(models.Seat.animal_id.in_([row.id for row in locked]))
        .group_by(models.Seat.animal_id)
    )
    taken = {animal_id: set(numbers) for animal_id, numbers in seats}
    barred |= {row.id for row in locked if ineligible(row.species, row.age_months, row.defects or [], sheep_months)}
    fullest_first = sorted(locked, key=lambda row: -len(taken.get(row.id, ())))
    free = [
        (row, number)
        for row in fullest_first
        if row.id not in barred and row.frozen is None
        for number in range(1, row.capacity + 1)
        if number not in taken.get(row.id, ())
    ]
    return free[:wanted]
