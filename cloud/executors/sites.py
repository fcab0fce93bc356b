"""Sites, and who and what is there."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID
from zoneinfo import available_timezones

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import service as auth
from cloud.donors import service as donors
from cloud.donors.service import NewPrice, Price
from cloud.executors import feed, intake, models, moons, schemas
from cloud.platform import audit, personal
from cloud.platform.conditional import unchanged
from shared.domain.animal import ineligible, tag_id, tidy_tag
from shared.domain.eid import Eid, window
from shared.domain.fields import FIELDS
from shared.domain.order import CAPACITY
from shared.errors import QurbaniError
from shared.ids import NewId

Row = TypeVar("Row", models.Site, models.Animal, models.Executor)


async def add_site(session: AsyncSession, new: schemas.NewSite, *, now: datetime, new_id: NewId) -> schemas.Site:
    """Raises ``bad_input`` for a time zone that there is not."""
    if new.timezone not in available_timezones():
        raise QurbaniError("bad_input", f"there is no time zone {new.timezone}", field="timezone")
    site = models.Site(id=new_id(), created=now, **msgspec.structs.asdict(new))
    site.eid_day = await moons.day_of(session, new.country)
    session.add(site)
    await session.flush()
    session.add(models.FeedHead(site_id=site.id, cursor=0))
    await session.flush()
    audit.about(session, subject=site.id)
    await _tell(session, site)
    return _site(site)


async def set_eid(session: AsyncSession, site_id: UUID, eid: schemas.SiteEid, if_match: str = "") -> schemas.Site:
    """Say when it is Eid at a site; its boxes hear of it at their next sync, and warn outside of it.

    Raises ``not_found``, ``bad_input`` where nobody has said where the site is or which day it is, or ``stale`` where
    it is not what was read under the tag ``if_match``.
    """
    site = await session.get(models.Site, site_id, with_for_update=True) or await _get(session, models.Site, site_id)
    unchanged(_site(site), if_match)
    if site.latitude is None or site.longitude is None:
        raise QurbaniError("bad_input", "say first where the site is: its sun decides", field="latitude")
    day = eid.day or await moons.day_of(session, site.country)
    if day is None:
        raise QurbaniError("bad_input", "nobody has said when it is Eid in the country of this site", field="day")
    site.eid_day, site.eid_own = day, eid.day is not None
    site.eid_begins, site.eid_days = eid.begins, eid.days
    site.sheep_months, site.per_hour = eid.sheep_months, eid.per_hour
    await session.flush()
    audit.about(session, subject=site.id)
    await _tell(session, site)
    return _site(site)


async def said_eid(session: AsyncSession, site_id: UUID) -> schemas.SiteEid:
    """What was said of the Eid of a site alone. Raises ``not_found``."""
    row = await _get(session, models.Site, site_id)
    day = row.eid_day if row.eid_own else None
    return schemas.SiteEid(day, row.eid_begins, row.eid_days, row.sheep_months, row.per_hour)  # type: ignore[arg-type]


async def set_moon(session: AsyncSession, country: str, day: date) -> schemas.Moon:
    """Say when it is Eid in a country: at all of its sites for which nobody has said another day.

    What their boxes filmed is held against the new window from then on. Raises ``bad_input``.
    """
    if not re.fullmatch(schemas.COUNTRY, country):
        raise QurbaniError("bad_input", "a country has two capital letters (ISO 3166-1)", field="country")
    await moons.say(session, country, day)
    here = models.Site.country == country, ~models.Site.eid_own
    query = select(models.Site).where(*here).order_by(models.Site.id).with_for_update()
    for site in await session.scalars(query.execution_options(populate_existing=True)):
        site.eid_day = day
        await session.flush()
        await _tell(session, site)
    return schemas.Moon(country, day)


async def _tell(session: AsyncSession, site: models.Site) -> None:
    """What nobody has said is left out, as boxes of before do not know it."""
    fields = {name: getattr(site, name) for name in FIELDS["site"]}
    told = {name: value for name, value in msgspec.to_builtins(fields).items() if value is not None}
    await feed.tell(session, site.id, [("site", site.id, told)])


async def sites(session: AsyncSession) -> list[schemas.Site]:
    return [_site(row) for row in await session.scalars(select(models.Site).order_by(models.Site.name))]


async def site(session: AsyncSession, site_id: UUID) -> schemas.Site:
    """Raises ``not_found``."""
    return _site(await _get(session, models.Site, site_id))


async def set_price(
    session: AsyncSession, site_id: UUID, new: NewPrice, new_id: NewId, if_match: str = ""
) -> Price:
    """Put up what a share costs at a site. Raises ``not_found``, and ``stale`` as :func:`donors.set_price` does."""
    await site(session, site_id)
    return await donors.set_price(session, site_id, new, new_id, if_match)


async def add_animal(session: AsyncSession, site_id: UUID, new: schemas.NewAnimal, new_id: NewId) -> schemas.Animal:
    """Raises ``conflict`` where the tag is in use at this site."""
    await site(session, site_id)
    fields = msgspec.structs.asdict(new) | {"tag": tidy_tag(new.tag)}
    animal = models.Animal(id=new_id(), site_id=site_id, capacity=CAPACITY[new.species], **fields)
    taken = QurbaniError("conflict", f"there is an animal {animal.tag} at this site")
    same = select(models.Animal.id).where(models.Animal.site_id == site_id, models.Animal.tag == animal.tag)
    if await session.scalar(same.limit(1)):
        raise taken
    try:
        async with session.begin_nested():
            session.add(animal)
    except IntegrityError as error:
        raise taken from error
    audit.about(session, subject=animal.id)
    await feed.tell(session, site_id, [("animal", animal.id, intake.told(animal))])
    return as_animal(animal)


async def animals(session: AsyncSession, site_id: UUID) -> list[schemas.Animal]:
    """Those at a site. Raises ``not_found``."""
    found = await _get(session, models.Site, site_id)
    query = select(models.Animal).where(models.Animal.site_id == site_id).order_by(models.Animal.tag)
    rows = (await session.scalars(query)).all()
    tags = Counter(tag_id(site_id, row.tag) for row in rows)
    return [
        msgspec.structs.replace(
            as_animal(row, found.sheep_months), same_tag=tags[tag_id(site_id, row.tag)] > 1)
        for row in rows
    ]  # fmt: skip


async def animal(session: AsyncSession, animal_id: UUID) -> schemas.Animal:
    """Raises ``not_found``."""
    row = await _get(session, models.Animal, animal_id)
    return as_animal(row, (await _get(session, models.Site, row.site_id)).sheep_months)


async def add_executor(
    session: AsyncSession, site_id: UUID, new: schemas.NewExecutor, new_id: NewId
) -> schemas.Executor:
    """Somebody new at a site; the boxes there get the PIN's hash, and know the PIN offline from then on."""
    await site(session, site_id)
    executor = models.Executor(
        id=(id := new_id()), key=await personal.key_of(session, id), person=models.Named(new.name), site_id=site_id,
        language=new.language, pin_hash=await auth.hash_pin(new.pin),
    )  # fmt: skip
    session.add(executor)
    await session.flush()
    audit.about(session, subject=executor.id)
    fields = {"name": new.name, "language": new.language, "pin_hash": executor.pin_hash}
    await feed.tell(session, site_id, [("executor", executor.id, fields)], about=executor.id)
    return _executor(executor)


async def executors(session: AsyncSession, site_id: UUID) -> list[schemas.Executor]:
    """Who is at a site now. Raises ``not_found``."""
    await site(session, site_id)
    query = select(models.Executor).where(models.Executor.site_id == site_id, models.Executor.left.is_(None))
    return sorted(map(_executor, await session.scalars(query)), key=lambda executor: executor.name)


async def remove_executor(session: AsyncSession, site_id: UUID, executor_id: UUID, now: datetime) -> None:
    """Somebody left; the boxes forget the PIN at their next sync."""
    executor = await _get(session, models.Executor, executor_id)
    if executor.site_id != site_id:
        raise QurbaniError("not_found", "there is no such executor")
    if executor.left is None:
        executor.left, executor.team_id, executor.leads = now, None, False
        await feed.tell(session, site_id, [("executor", executor_id, None)])


async def _get(session: AsyncSession, kind: type[Row], key: UUID) -> Row:
    row = await session.get(kind, key)
    if row is None:
        raise QurbaniError("not_found", f"there is no such {kind.__name__.lower()}")
    return row


def _site(row: models.Site) -> schemas.Site:
    when = window(found) if (found := eid_of(row)) else None
    return schemas.Site(
        row.id, row.name, row.timezone, row.languages, row.latitude, row.longitude,
        when and when.begins, when and when.ends, row.country, row.eid_day,
    )  # fmt: skip


def eid_of(row: models.Site) -> Eid | None:
    """What is known of the Eid of a site; None as long as that is not enough."""
    if row.eid_day is None or row.latitude is None or row.longitude is None:
        return None
    return Eid(row.eid_day, row.timezone, row.latitude, row.longitude, row.eid_begins, row.eid_days)


def as_animal(row: models.Animal, sheep_months: int | None = None) -> schemas.Animal:
    defects = row.defects or []
    return schemas.Animal(
        row.id, row.site_id, row.tag, row.species, row.pen, row.capacity,
        ineligible(row.species, row.age_months, defects, sheep_months), row.weight_g, row.age_months, row.sex, defects,
        row.vet_note or "", row.arrived, row.node, frozen=row.frozen,
    )  # fmt: skip


def _executor(row: models.Executor) -> schemas.Executor:
    return schemas.Executor(row.id, row.site_id, row.person.name, row.language)
