"""What is left of the animals: hides to be salted in time, and meat on the scales."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Annotated, Any
from uuid import UUID

import msgspec

from edge import feed
from edge.capture import Capture, Patch
from edge.db import Database, Tx, one
from edge.node import its_zone
from shared.clock import Reading, from_ms
from shared.domain.hide import Celsius, Fault, Grade, salt_within
from shared.domain.meat import BatchGrams, Packs, expected
from shared.errors import QurbaniError

OFF = "sacrifice.state <> 'opened'"
"""The animals of these sacrifices have a hide and meat."""

Minutes = Annotated[int, msgspec.Meta(ge=0, le=72 * 60)]


class HideEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hide of an animal, as the flayer hands it over. ``heat_c`` is how hot it is there.

    ``flayed_ago_min``: minutes ago; None leaves what was said, of a new one: just now. ``is_salted``: None leaves it.
    """

    animal_id: UUID
    grade: Grade | None = None
    faults: list[Fault] = []
    heat_c: Celsius | None = None
    flayed_ago_min: Minutes | None = None
    is_salted: bool | None = None


class BatchEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Meat on the scales: its grams, in how many packs, and from which animals."""

    weight_g: BatchGrams
    animals: list[UUID]
    packs: Packs = 0


class HideView(msgspec.Struct, frozen=True):
    """``due`` is when it should be in salt, ``late_s`` how long ago that was (negative: in how long); None once it is.

    ``took`` is how long it lay, of one that is in salt.
    """

    id: UUID
    animal_id: UUID
    tag: str | None
    species: str | None
    grade: str | None
    faults: list[str]
    heat_c: int | None
    flayed: datetime
    salted: datetime | None
    due: datetime
    late_s: float | None
    took: timedelta | None
    photo_id: UUID | None = None

    @property
    def was_late(self) -> bool:
        return self.salted is not None and self.salted > self.due


class Bare(msgspec.Struct, frozen=True):
    """A sacrificed animal of whose hide nobody has said anything, or which is on no scales yet."""

    id: UUID
    tag: str | None
    species: str | None


class BatchView(msgspec.Struct, frozen=True):
    id: UUID
    weight_g: int
    packs: int
    weighed: datetime
    tags: list[str]


class Day(msgspec.Struct, frozen=True):
    """The balance of a day, by the site's date of the sacrifices: what went in, what should come of it, what did.

    ``live_g`` is of the ``weighed_in`` of the ``animals`` that have a weight, ``expected_g`` what these should give,
    ``meat_g`` what was weighed of them; a batch of several days is on that of its first animal. ``unweighed`` is how
    many animals are in no batch.
    """

    day: date
    animals: int
    weighed_in: int
    live_g: int
    expected_g: tuple[int, int]
    meat_g: int
    packs: int
    unweighed: int
    hides: int
    batches: list[BatchView]

    @property
    def is_whole(self) -> bool:
        """Whether both scales have seen every animal, so that the two can be compared."""
        return self.weighed_in == self.animals and not self.unweighed

    @property
    def is_off(self) -> bool:
        least, most = self.expected_g
        return self.is_whole and not least <= self.meat_g <= most


class Butchery:
    """Writes and reads the records of one box, and of the others at its site as far as the hub has told."""

    def __init__(self, db: Database, capture: Capture) -> None:
        self._db = db
        self._capture = capture

    def write_hide(self, id: UUID, entry: HideEntry, executor_id: UUID, *, is_new: bool = False) -> None:
        """Safe to repeat: of a new one (``is_new``) that is here already, its times stay.

        Raises ``not_found`` without its animal, ``conflict`` with the ``hide_id`` where that has another hide.
        """

        def work(tx: Tx, now: Reading) -> tuple[None, Patch]:
            site_id = _its_site(tx, entry.animal_id)
            other = one(tx, "SELECT id FROM skin WHERE animal_id = ? AND id <> ?", entry.animal_id, id)
            if other:
                raise QurbaniError("conflict", "this animal has a hide already", hide_id=other["id"])
            known = one(tx, "SELECT * FROM skin WHERE id = ?", id)
            if known and known["animal_id"] != str(entry.animal_id):
                raise QurbaniError("conflict", "this is the hide of another animal")
            after: Patch = {"site_id": site_id, "animal_id": str(entry.animal_id), "grade": entry.grade,
                            "faults": entry.faults, "heat_c": entry.heat_c}  # fmt: skip
            if not (known and is_new):
                after |= _times(known, entry, now)
            return None, _write(tx, "skin", id, known, after)

        self._capture.note("skin", id, str(executor_id), work)

    def salt(self, id: UUID, executor_id: UUID) -> None:
        """It is in salt now; one that was before stays so. Raises ``not_found``."""

        def work(tx: Tx, now: Reading) -> tuple[None, Patch]:
            known = one(tx, "SELECT * FROM skin WHERE id = ?", id)
            if known is None:
                raise QurbaniError("not_found", "there is no such hide")
            after = {} if known["salted"] else {"salted": msgspec.to_builtins(now)}
            return None, _write(tx, "skin", id, known, after)

        self._capture.note("skin", id, str(executor_id), work)

    def write_batch(self, id: UUID, entry: BatchEntry, executor_id: UUID) -> None:
        """Raises ``bad_input`` without an animal, ``not_found`` for one that is not of this site."""

        def work(tx: Tx, now: Reading) -> tuple[None, Patch]:
            if not entry.animals:
                raise QurbaniError("bad_input", "the meat is of at least one animal", field="animals")
            (site_id, *_) = [_its_site(tx, animal_id) for animal_id in entry.animals]
            known = one(tx, "SELECT * FROM batch WHERE id = ?", id)
            after: Patch = {"site_id": site_id, "weight_g": entry.weight_g, "packs": entry.packs,
                            "animals": sorted({str(animal) for animal in entry.animals})}  # fmt: skip
            if known is None:
                after["weighed"] = msgspec.to_builtins(now)
            return None, _write(tx, "batch", id, known, after)

        self._capture.note("batch", id, str(executor_id), work)

    def hides(self, now: Reading) -> list[HideView]:
        """Those that must be salted first, the most urgent at the top; then those in salt, the newest at the top."""
        rows = self._db.rows("""
            SELECT skin.*, animal.tag, animal.species,
                (SELECT photo.id FROM photo WHERE photo.of = skin.id ORDER BY photo.rowid DESC LIMIT 1) AS photo_id
            FROM skin LEFT JOIN animal ON animal.id = skin.animal_id WHERE skin.flayed IS NOT NULL""")
        found = [_hide(row, now) for row in rows]
        waiting = sorted((hide for hide in found if hide.salted is None), key=lambda hide: hide.due)
        salted = sorted((hide for hide in found if hide.salted), key=lambda hide: hide.salted or hide.due, reverse=True)
        return waiting + salted

    def bare(self) -> list[Bare]:
        """The sacrificed animals without a hide, by tag."""
        rows = self._db.rows(f"""
            SELECT animal.id, tag, species FROM animal JOIN sacrifice ON sacrifice.animal_id = animal.id
            WHERE {OFF} AND NOT EXISTS (SELECT 1 FROM skin WHERE skin.animal_id = animal.id)
            ORDER BY tag""")  # noqa: S608 - a constant
        return msgspec.convert(rows, list[Bare])

    def unweighed(self) -> list[Bare]:
        """The sacrificed animals that are in no batch, by tag."""
        rows = self._db.rows(f"""
            SELECT animal.id, tag, species FROM animal JOIN sacrifice ON sacrifice.animal_id = animal.id
            WHERE {OFF} AND animal.id NOT IN (SELECT value FROM batch, json_each(batch.animals))
            ORDER BY tag""")  # noqa: S608 - a constant
        return msgspec.convert(rows, list[Bare])

    def batch(self, id: UUID) -> tuple[BatchView, list[Bare]]:
        """A batch and the animals that it comes from. Raises ``not_found``."""

        def work(tx: Tx) -> tuple[BatchView, list[Bare]]:
            row = one(tx, "SELECT * FROM batch WHERE id = ?", id)
            if row is None:
                raise QurbaniError("not_found", "there is no such batch")
            animals = list(tx.query(
                "SELECT id, tag, species FROM animal WHERE id IN (SELECT value FROM json_each(?)) ORDER BY tag",
                [row["animals"]],
            ))  # fmt: skip
            return _batch(row, [each["tag"] or "" for each in animals]), msgspec.convert(animals, list[Bare])

        return self._db.read(work)

    def days(self) -> list[Day]:
        """The balance of each day, the latest first."""
        return self._db.read(_days)


def _its_site(tx: Tx, animal_id: UUID) -> str:
    animal = one(tx, "SELECT site_id FROM animal WHERE id = ?", animal_id)
    if animal is None:
        raise QurbaniError("not_found", "no such animal at this site")
    return str(animal["site_id"])


def _times(known: dict[str, Any] | None, entry: HideEntry, now: Reading) -> Patch:
    found: Patch = {}
    if entry.flayed_ago_min is not None or known is None:
        found["flayed"] = msgspec.to_builtins(_before(now, entry.flayed_ago_min or 0))
    was_salted = bool(known and known["salted"])
    if entry.is_salted is not None and entry.is_salted != was_salted:
        found["salted"] = msgspec.to_builtins(now) if entry.is_salted else None
    return found


def _before(now: Reading, minutes: int) -> Reading:
    ms = minutes * 60_000
    return msgspec.structs.replace(now, wall_ms=now.wall_ms - ms, mono_ms=now.mono_ms - ms)


def _write(tx: Tx, entity: str, id: UUID, known: dict[str, Any] | None, after: Patch) -> Patch:
    """What of ``after`` is new."""
    before = known or {}
    plain = {name: json.loads(before[name]) if isinstance(value, list | dict) and before.get(name) else before.get(name)
             for name, value in after.items()}  # fmt: skip
    patch = {name: value for name, value in after.items() if plain[name] != value and (known or value is not None)}
    if patch:
        feed.keep_own(tx, entity, id, patch)
    return patch


def _hide(row: dict[str, Any], now: Reading) -> HideView:
    flayed = msgspec.json.decode(row["flayed"], type=Reading)
    salted = msgspec.json.decode(row["salted"], type=Reading) if row["salted"] else None
    within = salt_within(row["heat_c"])
    waits = timedelta(milliseconds=flayed.ms_until(now))
    took = timedelta(milliseconds=flayed.ms_until(salted)) if salted else None
    begun = from_ms(flayed.wall_ms)
    return HideView(
        id=UUID(row["id"]),
        animal_id=UUID(row["animal_id"]),
        tag=row["tag"],
        species=row["species"],
        grade=row["grade"],
        faults=json.loads(row["faults"] or "[]"),
        heat_c=row["heat_c"],
        flayed=begun,
        salted=begun + took if took is not None else None,
        due=begun + within,
        late_s=None if salted else (waits - within).total_seconds(),
        took=took,
        photo_id=UUID(row["photo_id"]) if row["photo_id"] else None,
    )


def _days(tx: Tx) -> list[Day]:
    zone = its_zone(tx)
    off = {row["id"]: row for row in tx.query(f"""
        SELECT animal.id, tag, species, weight_g, opened,
            EXISTS (SELECT 1 FROM skin WHERE skin.animal_id = animal.id) AS has_hide
        FROM animal JOIN sacrifice ON sacrifice.animal_id = animal.id WHERE {OFF}""")}  # noqa: S608 - a constant
    day_of = {id: _day(row["opened"], zone) for id, row in off.items()}
    batches: dict[date, list[BatchView]] = defaultdict(list)
    weighed = set[str]()
    for row in tx.query("SELECT * FROM batch ORDER BY id"):
        animals = json.loads(row["animals"] or "[]")
        weighed.update(animals)
        when = next((day_of[id] for id in animals if id in day_of), _day(row["weighed"], zone))
        batches[when].append(_batch(row, [off[id]["tag"] or "" for id in animals if id in off]))
    days = Counter(day_of.values())
    return [
        _balance(day, [row for id, row in off.items() if day_of[id] == day], weighed, batches[day])
        for day in sorted(days.keys() | batches.keys(), reverse=True)
    ]


def _balance(day: date, animals: Sequence[dict[str, Any]], weighed: set[str], batches: list[BatchView]) -> Day:
    live = [row["weight_g"] for row in animals if row["weight_g"] is not None]
    return Day(
        day=day,
        animals=len(animals),
        weighed_in=len(live),
        live_g=sum(live),
        expected_g=expected((row["species"], row["weight_g"]) for row in animals),
        meat_g=sum(batch.weight_g for batch in batches),
        packs=sum(batch.packs for batch in batches),
        unweighed=sum(row["id"] not in weighed for row in animals),
        hides=sum(row["has_hide"] for row in animals),
        batches=batches,
    )


def _batch(row: dict[str, Any], tags: list[str]) -> BatchView:
    weighed = from_ms(msgspec.json.decode(row["weighed"], type=Reading).wall_ms)
    return BatchView(UUID(row["id"]), row["weight_g"], row["packs"] or 0, weighed, tags)


def _day(reading: str, zone: tzinfo) -> date:
    return from_ms(msgspec.json.decode(reading, type=Reading).wall_ms).astimezone(zone).date()
