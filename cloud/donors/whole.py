"""Orders with all that hangs on them, in one statement: for the reads that come most often.

Elsewhere an order is loaded with its rows, to be changed; that takes five statements, and an object for each row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import JSON, Row, ScalarSelect, Uuid, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from cloud.donors import models
from cloud.donors.schemas import Instalment, Order, Share, Step
from cloud.platform.core import Platform
from cloud.platform.keys import Keys
from cloud.platform.personal import DataKey, place


def _listed(row: Any, *columns: Any, by: Any) -> ScalarSelect[Any]:
    """The rows of an order in a table, each as a list of these columns."""
    every = func.json_agg(aggregate_order_by(func.json_build_array(*columns), by), type_=JSON)
    return select(every).where(row.order_id == models.Order.id).correlate(models.Order).scalar_subquery()


_ORDERS = (
    select(
        models.Order.__table__, DataKey.subject, DataKey.master, DataKey.wrapped,
        _listed(models.Share, models.Share.id, func.encode(models.Share.sealed, "hex"), models.Share.language,
                by=models.Share.id).label("shares"),
        _listed(models.Step, models.Step.state, models.Step.at, models.Step.why, by=models.Step.id).label("steps"),
        _listed(models.Instalment, models.Instalment.due, models.Instalment.minor,
                by=models.Instalment.number).label("instalments"),
    )
    .outerjoin(DataKey, DataKey.subject == models.Order.donor_id)
    .where(models.Order.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
)  # fmt: skip


async def orders(platform: Platform, ids: list[UUID]) -> list[Order | None]:
    """The orders with these ids; None for each that there is not."""
    async with platform.database.look() as session:
        found = {row.id: _order(row, platform.keys) for row in await session.execute(_ORDERS, {"ids": ids})}
    return [found.get(id) for id in ids]


def _order(row: Row[Any], keys: Keys) -> Order:
    key = DataKey(subject=row.subject, master=row.master, wrapped=row.wrapped)
    key._keys = keys
    return Order(
        id=row.id,
        reference=str(row.number),
        donor_id=row.donor_id,
        species=row.species,
        state=row.state,
        created=row.created,
        shares=[_share(row, key, UUID(id), bytes.fromhex(sealed), language) for id, sealed, language in row.shares],
        timeline=[Step(state, _moment(at), why) for state, at, why in row.steps],
        site_id=row.site_id,
        currency=row.currency,
        minor=row.minor,
        instalments=[Instalment(_moment(due), minor) for due, minor in row.instalments or ()],
    )


def _share(row: Row[Any], key: DataKey, id: UUID, sealed: bytes, language: str) -> Share:
    said = key.open(place(models.Share, id), sealed, models.Named)
    return Share(
        id, row.id, row.donor_id, str(row.number), said.name, language, said.spellings, said.deceased, said.anonymous,
        said.phone,
    )  # fmt: skip


def _moment(text: str) -> datetime:
    return msgspec.convert(text, datetime).astimezone(UTC)
