"""How a record takes in an op. Pure: the same ops in any order, any number of times, give the same record.

A record is a mapping from field names to cells. Each field is a join-semilattice (Shapiro et al.,
"Conflict-free Replicated Data Types", 2011) whose join its policy in :mod:`shared.domain.fields` names:

=============== ==========================================================================================
last_writer     the latest write
cloud_only      the latest write; only the hub may
edge_only       the latest write; only a box may
write_once      the first write; a different value that comes with a later stamp is kept beside it
lattice         the state furthest along, with the stamp of the first op that reached it
set_union       every item that anybody wrote
review          the latest write of each node, until the hub decides with a later one
=============== ==========================================================================================

Writes are ordered by (stamp, node, canonical bytes of the value), so that no two differ and are equal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from shared.domain.animal import tag_id
from shared.domain.fields import CLAIM, CLAIMS, FIELDS, LATTICES, VALUES, Policy
from shared.errors import QurbaniError
from sync.ops import HUB, MAX_PATCH_BYTES, Op, encode

MAX_DEPTH = 16
MAX_RIVALS = 7
"""Rivals kept in a cell, so that one mad box cannot grow a record for ever. The ops keep them all."""


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """A field's value, who wrote it (``node``) and when (``hlc``).

    ``rivals`` are other writes that the policy keeps (``write_once``, ``review``), without rivals of their own.
    Keep cells as the bytes of :func:`sync.ops.encode`: some JSON stores cannot tell 1 from 1.0.
    """

    value: Any
    hlc: int
    node: UUID
    rivals: tuple[Cell, ...] = ()


Record = Mapping[str, Cell]


class Conflict(msgspec.Struct, frozen=True):
    """Two writes of one field that a human should look at: ``kept`` is shown, ``other`` is kept beside it."""

    field: str
    kept: Cell
    other: Cell


class Merged(msgspec.Struct, frozen=True):
    """``changed`` are the fields whose value is another now; ``conflicts`` those that this op brought up."""

    record: dict[str, Cell]
    changed: tuple[str, ...]
    conflicts: tuple[Conflict, ...]


def merge(record: Record, op: Op, stamp: int | None = None) -> Merged:
    """``record`` after ``op``; for a new record, ``{}``.

    ``stamp`` replaces the op's own where the hub has clamped it (:func:`sync.hlc.admit`). Raises ``bad_op``
    as :func:`check` does, and then nothing of the op holds.
    """
    check(op)
    return take(record, op, stamp)


def claims(op: Op) -> list[Op]:
    """What ``op`` claims for its record: writes of the records that keep who claimed a thing (``CLAIMS``)."""
    found = []
    for field, value in op.patch.items():
        kind = CLAIMS.get((op.entity, field))
        if kind is not None and (thing := _claimed(op, field, value)):
            found.append(Op(op.node, op.seq, op.hlc, kind, thing, {"by": str(op.key)}, op.actor, op.prev))
    return found


def _claimed(op: Op, field: str, value: Any) -> UUID | None:
    if field != "tag":
        return UUID(value) if _is_id(value) else None
    site = op.patch.get("site_id")
    return tag_id(UUID(site), value) if _is_id(site) else None


def take(record: Record, op: Op, stamp: int | None = None) -> Merged:
    """As :func:`merge`, of an op that :func:`check` has passed, or a claim of :func:`claims`."""
    after, changed, conflicts = dict(record), [], []
    for field, value in op.patch.items():
        cell = Cell(_value(op.entity, field, value), op.hlc if stamp is None else stamp, op.node)
        before = record.get(field)
        after[field] = now = cell if before is None else _join(op.entity, field, before, cell)
        if before is None or not _same(before, now):
            changed.append(field)
        if before is not None and now != before and now.rivals:
            other = before if _same(now, cell) else cell
            if not _same(now, other):
                conflicts.append(Conflict(field, _bare(now), _bare(other)))
    return Merged(after, tuple(changed), tuple(conflicts))


def join(entity: str, a: Record, b: Record) -> dict[str, Cell]:
    """Two copies of one record as one."""
    return {
        field: _join(entity, field, a[field], b[field]) if field in a and field in b else a.get(field) or b[field]
        for field in sorted(a.keys() | b.keys())
    }


def values(record: Record) -> dict[str, Any]:
    """The fields as people see them."""
    return {field: cell.value for field, cell in record.items()}


def check(op: Op) -> None:
    """Raise ``bad_op``, naming the field, unless ``op`` can be merged. A box asks before it signs."""
    fields = FIELDS.get(op.entity)
    if fields is None:
        raise QurbaniError("bad_op", f"there is no entity {op.entity!r}", entity=op.entity)
    if not op.patch:
        raise QurbaniError("bad_op", "an op changes at least one field", entity=op.entity)
    for field, value in op.patch.items():
        reason = _complaint(op, field, value)
        if reason:
            raise QurbaniError("bad_op", f"{op.entity}.{field} {reason}", entity=op.entity, field=field)
    size = len(encode(op.patch))
    if size > MAX_PATCH_BYTES:
        raise QurbaniError("bad_op", f"a patch has at most {MAX_PATCH_BYTES} bytes, this one {size}", entity=op.entity)


def _complaint(op: Op, field: str, value: Any) -> str:
    policy = FIELDS[op.entity].get(field)
    if policy is None:
        return "does not exist"
    if policy == "cloud_only" and op.node != HUB:
        return "is written by the hub only"
    if policy == "edge_only" and op.node == HUB:
        return "is written by boxes only"
    if policy == "lattice" and value not in LATTICES[op.entity, field].states:
        return f"cannot be {value!r}"
    if policy == "set_union" and not isinstance(value, list):
        return "is a list"
    if (op.entity, field) == ("animal", "tag") and not _is_id(op.patch.get("site_id")):
        return "is written together with the site_id"
    if (op.entity, field) in VALUES:
        try:
            msgspec.convert(value, VALUES[op.entity, field], strict=True)
        except msgspec.ValidationError as error:
            return f"is not what it has to be: {error}"
    return "" if _plain(value) else "holds what JSON and every database cannot"


def _is_id(value: Any) -> bool:
    try:
        return bool(str(UUID(value)) == value)
    except (TypeError, ValueError, AttributeError):
        return False


def _policy(entity: str, field: str) -> Policy:
    return CLAIM[field] if entity in CLAIMS.values() else FIELDS[entity][field]


def _plain(value: Any, depth: int = 0) -> bool:
    """Whether ``value`` is plain data: no bytes, no NaN, no integer beyond 64 bits, no NUL, not too deep."""
    match value:
        case None | bool():
            return True
        case str():
            return not _UNSTORABLE.search(value)
        case int():
            return -(2**63) <= value < 2**63
        case float():
            return math.isfinite(value)
        case list():
            return depth < MAX_DEPTH and all(_plain(item, depth + 1) for item in value)
        case dict():
            return depth < MAX_DEPTH and all(
                isinstance(key, str) and _plain(key) and _plain(item, depth + 1) for key, item in value.items())
        case _:
            return False


# NUL is refused by PostgreSQL, half a surrogate pair by UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _value(entity: str, field: str, value: Any) -> Any:
    return _union(value) if _policy(entity, field) == "set_union" else value


def _join(entity: str, field: str, a: Cell, b: Cell) -> Cell:
    policy = _policy(entity, field)
    if policy == "lattice":
        rank = LATTICES[entity, field].rank
        # The furthest state; of two equal ones the earlier, which tells when it was reached.
        return min(a, b, key=lambda cell: (-rank(cell.value), _order(cell)))
    return _JOINS[policy](a, b)


def _latest(a: Cell, b: Cell) -> Cell:
    return max(a, b, key=_order)


def _first(a: Cell, b: Cell) -> Cell:
    # Of equal values the earliest write stands for all: sorted latest first, the earlier replaces the later.
    writes = {encode(cell.value): cell for cell in sorted(_writes(a, b), key=_order, reverse=True)}
    return _cell(sorted(writes.values(), key=_order))


def _reviewed(a: Cell, b: Cell) -> Cell:
    latest = {cell.node: cell for cell in sorted(_writes(a, b), key=_order)}
    decided = latest.get(HUB)
    standing = [cell for cell in latest.values() if decided is None or _order(cell) >= _order(decided)]
    return _cell(sorted(standing, key=_order, reverse=True))


def _all_of(a: Cell, b: Cell) -> Cell:
    latest = max(a, b, key=lambda cell: (cell.hlc, cell.node))
    return Cell(_union([*a.value, *b.value]), latest.hlc, latest.node)


_JOINS: dict[Policy, Callable[[Cell, Cell], Cell]] = {
    "last_writer": _latest,
    "cloud_only": _latest,
    "edge_only": _latest,
    "write_once": _first,
    "review": _reviewed,
    "set_union": _all_of,
}


def _order(cell: Cell) -> tuple[int, UUID, bytes]:
    return cell.hlc, cell.node, encode(cell.value)


def _same(a: Cell, b: Cell) -> bool:
    """Whether both show one value. Canonical bytes, because Python holds 1, 1.0 and True to be equal."""
    return encode(a.value) == encode(b.value)


def _bare(cell: Cell) -> Cell:
    return Cell(cell.value, cell.hlc, cell.node)


def _writes(*cells: Cell) -> Iterable[Cell]:
    for cell in cells:
        yield _bare(cell)
        yield from cell.rivals


def _cell(writes: Sequence[Cell]) -> Cell:
    shown, *rivals = writes[: 1 + MAX_RIVALS]
    return Cell(shown.value, shown.hlc, shown.node, tuple(rivals))


def _union(items: Iterable[Any]) -> list[Any]:
    """Each item once, in the order of their canonical bytes."""
    by_bytes = {encode(item): item for item in items}
    return [by_bytes[key] for key in sorted(by_bytes)]
