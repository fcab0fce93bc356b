"""An order as its donor sees it, put together from what the services know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.donors import service as donors
from cloud.executors import service as executors
from cloud.pages.schemas import Animal, Film, Order, Queued, Reviewed, Step
from cloud.processing import service as processing
from cloud.uploads import service as uploads
from shared.domain.order import ORDER
from shared.domain.verdict import hint
from shared.errors import QurbaniError

ROAD = ("placed", "paid", "allocated", "sacrificed", "verified", "out_for_delivery", "delivered")
"""The states of an order that goes well, in their order."""

LEAD_S = 2.0
"""So long before their name donors see a video in which there are others' names, too."""


async def orders(session: AsyncSession, donor_id: UUID) -> list[Order]:
    """The newest orders of a donor."""
    return [await _order(session, order) for order in await donors.orders(session, donor_id=donor_id)]


async def order(session: AsyncSession, order_id: UUID, donor_id: UUID) -> Order:
    """Raises ``not_found`` also where it is another donor's."""
    return await _order(session, await donors.get(session, order_id, donor_id=donor_id))


def steps(found: donors.Order) -> list[Step]:
    """The road of an order; see :func:`road`."""
    return road(found.state, found.timeline)


def road(state: str, timeline: Sequence[donors.Step]) -> list[Step]:
    """What is done, what comes next, what follows. An order that left the road ends there."""
    taken: list[donors.Step] = []
    for step in timeline:  # one that goes back takes with it what came after
        taken = [before for before in taken if ORDER.rank(before.state) < ORDER.rank(step.state)]
        taken.append(step)
    done = [Step(step.state, "done", step.at) for step in taken]
    if state not in ROAD:
        return done
    ahead = ROAD[ROAD.index(state) + 1 :]
    return [*done, *(Step(state, "todo" if at else "current", None) for at, state in enumerate(ahead))]


async def _order(session: AsyncSession, found: donors.Order) -> Order:
    found = await processing.as_told(session, found)
    animals = await executors.animals_of(session, found.id)
    sites = {animal.site_id: await executors.site(session, animal.site_id) for animal in animals}
    zone = next((ZoneInfo(site.timezone) for site in sites.values()), UTC)
    return Order(
        id=found.id,
        reference=found.reference,
        state=found.state,
        names=[share.name for share in found.shares],
        animals=[await _animal(session, found, animal, sites[animal.site_id].name) for animal in animals],
        steps=steps(found),
        zone=zone,
        currency=found.currency,
        minor=found.minor,
        moved=await executors.moved_why(session, [share.id for share in found.shares]),
    )


async def _animal(session: AsyncSession, found: donors.Order, animal: executors.Animal, site: str) -> Animal:
    shares = await executors.shares_on(session, animal.id)
    names = [share.name for share in shares if share.order_id == found.id]
    sacrifices = [row.id for row in await executors.sacrifices_of(session, found.id) if row.animal_id == animal.id]
    video = await uploads.authentic_video(session, sacrifices)
    shared = len(shares) > len(names)
    film = await _film(session, video.id, found.donor_id, names, shared=shared) if video else None
    ahead = None if film else await uploads.ahead_of(session, sacrifices)
    return Animal(animal.species, animal.tag, site, names, film, ahead)


async def _film(session: AsyncSession, video_id: UUID, donor_id: UUID, names: list[str], *, shared: bool) -> Film:
    copy = await uploads.permitted(session, video_id, "compressed", donor_id)
    place = (await uploads.place(session, video_id)).place
    seen = await uploads.seen_by(session, video_id, donor_id)
    by_hand = await processing.was_approved(session, video_id)
    heard = await processing.heard(session, video_id, names)
    begin = max(heard[0].seconds - LEAD_S, 0.0) if shared and heard else 0.0
    to_send = await uploads.has(session, video_id, "messenger")
    own = await uploads.own_copy(session, video_id, donor_id) if shared else ""
    doubt = await _doubt(session, video_id, donor_id)
    return Film(video_id, copy.width, copy.height, heard, seen, by_hand, place, begin, to_send, own, doubt)


async def _doubt(session: AsyncSession, video_id: UUID, donor_id: UUID) -> processing.Doubted | None:
    try:
        return await processing.doubt(session, video_id, donor_id)
    except QurbaniError as error:
        if error.code != "not_found":
            raise
        return None


async def queue(session: AsyncSession, reader: UUID, now: datetime) -> list[Queued]:
    """The videos that wait for a person, the most urgent first."""
    sites = {site.id: site for site in await executors.sites(session)}
    rows = await processing.waiting(session, reader, now)
    return [Queued(row, sites[row.site_id].name, ZoneInfo(sites[row.site_id].timezone)) for row in rows]


async def reviewed(session: AsyncSession, video_id: UUID, reader: UUID, language: str) -> Reviewed:
    """A video under review. Raises ``not_found``."""
    case = await processing.case(session, video_id)
    site = await executors.site(session, case.site_id)
    sacrifice = await executors.sacrifice(session, case.sacrifice_id)
    animal = await executors.animal(session, sacrifice.animal_id)
    photos = [photo.id for photo in await uploads.photos(session, animal.id) if photo.is_here]
    mine = next((vote for vote in case.votes if vote.user_id == reader), None)
    return Reviewed(
        case, site.name, ZoneInfo(site.timezone), animal.tag, animal.species,
        [hint(reason, language) for reason in case.reasons], photos,
        [vote for vote in case.votes if vote.user_id != reader], mine,
    )  # fmt: skip
