"""What boxes wrote down of the animals at their site: new ones, and what there is to say of those that were listed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import feed, models
from shared.domain.animal import Defect, Grams, Months, Note, Sex, Species, Tag, tag_id
from shared.domain.order import CAPACITY
from shared.errors import QurbaniError


class Fields(msgspec.Struct, frozen=True):
    """The merged fields of an animal, as far as boxes have written them."""

    site_id: UUID | UnsetType = UNSET
    tag: Tag | UnsetType = UNSET
    species: Species | UnsetType = UNSET
    pen: Annotated[str, msgspec.Meta(max_length=40)] | UnsetType = UNSET
    weight_g: Grams | UnsetType | None = UNSET
    age_months: Months | UnsetType | None = UNSET
    sex: Sex | UnsetType | None = UNSET
    defects: list[Defect] | UnsetType = UNSET
    vet_note: Note | UnsetType = UNSET
    arrived: dict[str, Any] | UnsetType = UNSET


async def apply_animals(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Take in records of animals as boxes of ``site`` wrote them; what they say goes before what was listed.

    Raises ``bad_op`` where one is another site's, is new and not complete, or would change how many shares an animal
    has that were given away; then none is taken in. The boxes are told by :func:`tell_animals`.
    """
    query = select(models.Animal).where(models.Animal.id.in_(records)).order_by(models.Animal.id).with_for_update()
    rows = {row.id: row for row in await session.scalars(query.execution_options(populate_existing=True))}
    for key in sorted(records):
        said = _read(records[key])
        if said.get("site_id", site) != site or (key in rows and rows[key].site_id != site):
            raise QurbaniError("bad_op", "the animal is at another site")
        if key not in rows and not {"tag", "species"} <= said.keys():
            raise QurbaniError("bad_op", "an animal has a tag and a species")
        row = rows.get(key) or models.Animal(id=key, site_id=site, node=node, pen="")
        for name, value in said.items():
            setattr(row, name, value)
        await _set_capacity(session, row)
        session.add(row)
    await session.flush()


async def tell_animals(session: AsyncSession, animal_ids: Collection[UUID], site_id: UUID) -> None:
    """Tell the boxes of a site what these animals have come to."""
    query = select(models.Animal).where(models.Animal.id.in_(animal_ids)).order_by(models.Animal.id)
    await feed.tell(session, site_id, [("animal", row.id, told(row)) for row in await session.scalars(query)])


async def listed_tags(session: AsyncSession, site_id: UUID, animal_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The animals of a site that were listed here, but for these, by what names their tags."""
    listed = (models.Animal.site_id == site_id, models.Animal.node.is_(None), models.Animal.id.not_in(animal_ids))
    rows = await session.execute(select(models.Animal.id, models.Animal.tag).where(*listed))
    return {tag_id(site_id, row.tag): row.id for row in rows}


def told(row: models.Animal) -> dict[str, Any]:
    """What boxes are told of an animal. What nobody has said is left out, as boxes of before do not know it."""
    fields = {"site_id": str(row.site_id), "tag": row.tag, "species": row.species, "pen": row.pen}
    more = {name: getattr(row, name) for name in ("weight_g", "age_months", "sex", "defects", "vet_note", "arrived")}
    more["frozen"] = True if row.frozen else None
    return fields | {name: value for name, value in more.items() if value is not None}


def _read(fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        said = msgspec.convert(fields, Fields)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_op", f"animal: {error}") from error
    return {name: value for name, value in msgspec.structs.asdict(said).items() if value is not UNSET}


async def _set_capacity(session: AsyncSession, row: models.Animal) -> None:
    capacity = CAPACITY[row.species]
    if row.capacity is not None and row.capacity != capacity:
        given = await session.scalar(select(models.Seat.share_id).where(models.Seat.animal_id == row.id).limit(1))
        if given is not None:
            raise QurbaniError("bad_op", f"shares of it were given away; it cannot become a {row.species}")
    row.capacity = capacity
