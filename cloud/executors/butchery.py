"""Hides and meat, as the boxes of a site wrote them down, and the balance of its days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime, tzinfo
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import feed, models, schemas
from cloud.executors.sites import site
from shared.clock import Reading, from_ms
from shared.domain.hide import Celsius, Fault, Grade, salt_within
from shared.domain.meat import BatchGrams, Packs, expected
from shared.domain.sacrifice import SACRIFICE
from shared.errors import QurbaniError


class HideFields(msgspec.Struct, frozen=True):
    """The merged fields of a hide, as far as boxes have written them."""

    animal_id: UUID
    grade: Grade | None = None
    faults: list[Fault] = []
    heat_c: Celsius | None = None
    flayed: Reading | None = None
    salted: Reading | None = None


class BatchFields(msgspec.Struct, frozen=True):
    """The merged fields of a batch."""

    animals: list[UUID]
    weight_g: BatchGrams
    weighed: Reading
    packs: Packs = 0


T = TypeVar("T", HideFields, BatchFields)


async def apply_hides(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in records of hides as boxes of ``site`` wrote them; one that does not say yet of which animal waits.

    Raises ``bad_op`` where a value cannot be or an animal is not of that site; then none is taken in.
    """
    told = {key: _read(fields, HideFields) for key, fields in records.items() if "animal_id" in fields}
    await _refuse_elsewhere(session, {each.animal_id for each in told.values()}, site)
    for key, each in told.items():
        await session.merge(models.Hide(id=key, node=node, site_id=site, **_row(each)))
    await session.flush()


async def apply_batches(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in records of meat, as :func:`apply_hides`."""
    told = {key: _read(fields, BatchFields) for key, fields in records.items()}
    await _refuse_elsewhere(session, {animal for each in told.values() for animal in each.animals}, site)
    for key, each in told.items():
        await session.merge(models.Batch(id=key, node=node, site_id=site, **_row(each)))
    await session.flush()


async def tell_hides(session: AsyncSession, ids: Collection[UUID], site_id: UUID) -> None:
    """Tell the boxes of a site what these hides have come to."""
    rows = await session.scalars(select(models.Hide).where(models.Hide.id.in_(ids)).order_by(models.Hide.id))
    await feed.tell(session, site_id, [("skin", row.id, _told(row, HideFields)) for row in rows])


async def tell_batches(session: AsyncSession, ids: Collection[UUID], site_id: UUID) -> None:
    """Tell the boxes of a site what these batches have come to."""
    rows = await session.scalars(select(models.Batch).where(models.Batch.id.in_(ids)).order_by(models.Batch.id))
    await feed.tell(session, site_id, [("batch", row.id, _told(row, BatchFields)) for row in rows])


async def hides(session: AsyncSession, site_id: UUID) -> list[schemas.Hide]:
    """The hides of a site, oldest first. Raises ``not_found``."""
    await site(session, site_id)
    rows = await session.scalars(select(models.Hide).where(models.Hide.site_id == site_id).order_by(models.Hide.id))
    return [_hide(row) for row in rows]


async def batches(session: AsyncSession, site_id: UUID) -> list[schemas.Batch]:
    """The batches of a site, oldest first. Raises ``not_found``."""
    await site(session, site_id)
    rows = await session.scalars(select(models.Batch).where(models.Batch.site_id == site_id).order_by(models.Batch.id))
    return [
        schemas.Batch(row.id, row.node, [UUID(id) for id in row.animals], row.weight_g, row.packs, _at(row.weighed))
        for row in rows
    ]


async def balance(session: AsyncSession, site_id: UUID) -> list[schemas.Balance]:
    """The days of a site on which there were sacrifices or meat was weighed, the latest first. Raises ``not_found``."""
    zone = ZoneInfo((await site(session, site_id)).timezone)
    query = select(models.Animal, models.Sacrifice.opened, models.Sacrifice.state).join(
        models.Sacrifice, models.Sacrifice.animal_id == models.Animal.id)  # fmt: skip
    rows = (await session.execute(query.where(models.Sacrifice.site_id == site_id))).all()
    off = {row.id: row for row, _, state in rows if SACRIFICE.rank(state) >= SACRIFICE.rank("recorded")}
    day_of = {row.id: _day(opened, zone) for row, opened, _ in rows if row.id in off}
    skinned = {hide.animal_id for hide in await hides(session, site_id)}
    weighed: dict[date, list[schemas.Batch]] = defaultdict(list)
    for batch in await batches(session, site_id):
        first = next((day_of[id] for id in batch.animals if id in day_of), batch.weighed.astimezone(zone).date())
        weighed[first].append(batch)
    on_scales = {id for each in weighed.values() for batch in each for id in batch.animals}
    found = []
    for day in sorted({*day_of.values(), *weighed}, reverse=True):
        animals = [row for id, row in off.items() if day_of[id] == day]
        live = [row.weight_g for row in animals if row.weight_g is not None]
        found.append(schemas.Balance(
            day=day,
            animals=len(animals),
            weighed_in=len(live),
            live_g=sum(live),
            expected_g=expected((row.species, row.weight_g) for row in animals),
            meat_g=sum(batch.weight_g for batch in weighed[day]),
            packs=sum(batch.packs for batch in weighed[day]),
            hides=sum(row.id in skinned for row in animals),
            without_hide=[row.id for row in animals if row.id not in skinned],
            unweighed=[row.id for row in animals if row.id not in on_scales],
        ))  # fmt: skip
    return found


def _read(fields: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_op", str(error)) from error


async def _refuse_elsewhere(session: AsyncSession, animals: Collection[UUID], site: UUID) -> None:
    here = select(models.Animal.id).where(models.Animal.id.in_(animals), models.Animal.site_id == site)
    if set(animals) != set(await session.scalars(here)):
        raise QurbaniError("bad_op", "it is of an animal at another site")


def _row(told: HideFields | BatchFields) -> dict[str, Any]:
    """Its columns; ids as such where the column is one."""
    plain = msgspec.to_builtins(told)
    return plain | ({"animal_id": told.animal_id} if isinstance(told, HideFields) else {})


def _told(row: models.Hide | models.Batch, kind: type[T]) -> dict[str, Any]:
    fields = {"site_id": row.site_id, **{name: getattr(row, name) for name in kind.__struct_fields__}}
    told: dict[str, Any] = msgspec.to_builtins({name: value for name, value in fields.items() if value is not None})
    return told


def _hide(row: models.Hide) -> schemas.Hide:
    flayed, salted = (msgspec.convert(each, Reading) if each else None for each in (row.flayed, row.salted))
    took_s = flayed.ms_until(salted) / 1000 if flayed and salted else None
    return schemas.Hide(
        row.id, row.animal_id, row.node, row.grade, row.faults or [], row.heat_c, flayed and from_ms(flayed.wall_ms),
        salted and from_ms(salted.wall_ms), salt_within(row.heat_c).total_seconds(), took_s,
    )  # fmt: skip


def _at(reading: Mapping[str, Any]) -> datetime:
    return from_ms(reading["wall_ms"])


def _day(reading: Mapping[str, Any], zone: tzinfo) -> date:
    return _at(reading).astimezone(zone).date()
