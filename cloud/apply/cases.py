"""What a person has to look at: ops that could not be applied, and fields that have two versions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.apply import sealing
from cloud.apply.models import Conflict, HeldOp, Record
from cloud.platform.paging import Paging, page
from shared.clock import from_ms
from shared.errors import QurbaniError
from sync import hlc
from sync.merge import Cell


class Quarantined(msgspec.Struct, frozen=True):
    """An op that is held and could not be applied: what it says, and why not."""

    node: UUID
    seq: int
    entity: str
    key: UUID
    patch: dict[str, Any]
    actor: str
    code: str
    detail: str
    received: datetime


class Version(msgspec.Struct, frozen=True):
    """One of the values of a field: which box wrote it, who at the box, and when by the hub's order."""

    value: Any
    node: UUID
    actor: str | None
    written: datetime
    is_shown: bool


class Case(msgspec.Struct, frozen=True):
    """A field with several versions, all of them kept."""

    entity: str
    key: UUID
    field: str
    noticed: datetime
    versions: list[Version]
    settled: datetime | None
    decision: str | None


class Settle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was decided about a case."""

    entity: str
    key: UUID
    field: str
    decision: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


async def quarantine(session: AsyncSession, asked: Paging, node: UUID | None = None) -> list[Quarantined]:
    """A page of the ops that could not be applied, of one box or of all; the oldest of each box first."""
    query = select(HeldOp).where(HeldOp.parked_code.is_not(None))
    query = query if node is None else query.where(HeldOp.node == node)
    rows = [row for row, in await page(session, query, [HeldOp.node, HeldOp.seq], asked)]
    keys = await sealing.keys_for(session, ((row.entity, row.key) for row in rows))
    return [
        Quarantined(
            row.node, row.seq, row.entity, row.key, patch(keys, row), row.actor,
            row.parked_code or "", row.parked_detail or "", row.received,
        )
        for row in rows
    ]  # fmt: skip


async def conflicts(session: AsyncSession, asked: Paging) -> list[Case]:
    """A page of the fields with several versions: those that nobody has looked at first."""
    query = select(Conflict, Record).join(Record, (Record.entity == Conflict.entity) & (Record.key == Conflict.key))
    order = [Conflict.settled.is_not(None), Conflict.noticed, Conflict.entity, Conflict.key, Conflict.field]
    rows = await page(session, query, order, asked)
    keys = await sealing.keys_for(session, ((row.entity, row.key) for row, _ in rows))
    found = []
    for row, record in rows:
        cell = cells(keys, record).get(row.field)
        if cell is None:
            continue  # its key was destroyed
        versions = await _versions(session, cell)
        found.append(Case(row.entity, row.key, row.field, row.noticed, versions, row.settled, row.decision))
    return found


async def settle(session: AsyncSession, told: Settle, who: UUID, now: datetime) -> None:
    """A person has looked at a case. All versions stay. Raises ``not_found``."""
    row = await session.get(Conflict, (told.entity, told.key, told.field))
    if row is None:
        raise QurbaniError("not_found", "there is no such case")
    row.settled, row.settled_by, row.decision = now, who, told.decision


def patch(keys: sealing.Keys, row: Any) -> dict[str, Any]:
    """The patch of a held op."""
    raw = sealing.opened(keys, row.entity, row.key, row.patch, HeldOp, row.node, row.seq)
    return msgspec.msgpack.decode(raw, type=dict[str, Any])


def cells(keys: sealing.Keys, row: Any) -> dict[str, Cell]:
    """The cells of a record."""
    return _cells.decode(sealing.opened(keys, row.entity, row.key, row.cells, Record, row.entity, row.key))


_cells = msgspec.msgpack.Decoder(dict[str, Cell])


async def _versions(session: AsyncSession, cell: Cell) -> list[Version]:
    writes = [cell, *cell.rivals]
    ops = select(HeldOp.node, HeldOp.stamp, HeldOp.actor)
    rows = await session.execute(
        ops.where(tuple_(HeldOp.node, HeldOp.stamp).in_([(write.node, write.hlc) for write in writes]))
    )
    actors = {(node, stamp): actor for node, stamp, actor in rows}
    return [
        Version(
            write.value, write.node, actors.get((write.node, write.hlc)), from_ms(hlc.unpack(write.hlc)[0]),
            write is cell,
        )
        for write in writes
    ]  # fmt: skip
