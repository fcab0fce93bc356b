"""Taking animals in: what stands in the yard is written down there, also of animals that the hub has never heard of.

What the hub listed beforehand is completed, and what was written wrongly is put right, the same way: by saying how it
is. Saying it again changes nothing.
"""

from __future__ import annotations

import json
from typing import Annotated, Any
from uuid import UUID

import msgspec

from edge import feed
from edge.capture import Capture, Patch
from edge.db import Tx, one
from shared.clock import Reading
from shared.domain.animal import Defect, Grams, Months, Note, Sex, Species, Tag, tag_id, tidy_tag
from shared.errors import QurbaniError


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An animal as it is: ``weight_g`` in grams, its age when it came. None: nobody has said."""

    tag: Tag
    species: Species
    pen: Annotated[str, msgspec.Meta(max_length=40)] = ""
    weight_g: Grams | None = None
    age_months: Months | None = None
    sex: Sex | None = None
    defects: list[Defect] = []
    vet_note: Note = ""


class Intake:
    """Writes what was seen into the box's records."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def write(self, id: UUID, entry: Entry, executor_id: UUID, *, is_new: bool = False) -> None:
        """The animal ``id`` is as ``entry`` says; it comes to be by this if there was none.

        ``is_new`` says that there should be none, or the same: else ``conflict``. Raises ``tag_taken`` with the
        ``animal_id`` that has the tag, and ``conflict`` where names were given to an animal of another species.
        """

        def work(tx: Tx, now: Reading) -> tuple[None, Patch]:
            known = one(tx, "SELECT * FROM animal WHERE id = ?", id)
            patch = _changes(known, entry)
            if is_new and known and patch:
                raise QurbaniError("conflict", "this animal was written down before; correct its entry")
            if known and "species" in patch:
                _refuse_other_species(tx, id, known["species"])
            if "tag" in patch:
                site_id = known["site_id"] if known else tx.execute("SELECT site_id FROM node").fetchone()[0]
                _refuse_taken(tx, id, UUID(site_id), patch["tag"])
                patch["site_id"] = site_id
            if not known or not known["arrived"]:
                patch["arrived"] = msgspec.to_builtins(now)
            if patch:
                feed.keep_own(tx, "animal", id, patch)
            return None, patch

        self._capture.note("animal", id, str(executor_id), work)


def entry_of(row: dict[str, Any]) -> dict[str, Any]:
    """What is known of an animal, as the fields of an :class:`Entry`."""
    fields = {name: row[name] for name in Entry.__struct_fields__}
    return fields | {
        "pen": row["pen"] or "",
        "vet_note": row["vet_note"] or "",
        "defects": json.loads(row["defects"] or "[]"),
    }


def _changes(known: dict[str, Any] | None, entry: Entry) -> Patch:
    before = entry_of(known or dict.fromkeys(Entry.__struct_fields__))
    after = msgspec.to_builtins(entry) | {"tag": tidy_tag(entry.tag)}
    if not after["tag"]:
        raise QurbaniError("bad_input", "a tag has letters or digits", field="tag")
    return {name: value for name, value in after.items() if before[name] != value}


def _refuse_taken(tx: Tx, id: UUID, site_id: UUID, tag: str) -> None:
    wanted = tag_id(site_id, tag)
    for row in tx.query("SELECT id, tag FROM animal WHERE id <> ? AND tag IS NOT NULL", [str(id)]):
        if tag_id(site_id, row["tag"]) == wanted:
            raise QurbaniError("tag_taken", f"there is an animal {row['tag']} here already", animal_id=row["id"])


def _refuse_other_species(tx: Tx, id: UUID, species: str | None) -> None:
    """Its shares were given by its species, and its videos were judged by its names."""
    if one(tx, "SELECT 1 FROM share WHERE animal_id = ? UNION SELECT 1 FROM sacrifice WHERE animal_id = ?", id, id):
        raise QurbaniError("conflict", f"names were given to it as a {species}; ask the hub's administrator")

