"""Who may write which field of a synced record, and how two copies of it become one.

The one table that both ends of the sync protocol share. A record is named by ``(entity, key)``; a
field that is not listed here is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from shared.domain.animal import Defect, Grams, Months, Note, Sex, Species, Tag
from shared.domain.hide import Celsius, Fault, Grade
from shared.domain.machine import Machine
from shared.domain.meat import BatchGrams, Packs
from shared.domain.sacrifice import SACRIFICE

Policy = Literal["last_writer", "write_once", "lattice", "cloud_only", "edge_only", "set_union", "review"]

FIELDS: dict[str, dict[str, Policy]] = {
    # Written by boxes.
    "sacrifice": {
        "site_id": "write_once",
        "animal_id": "write_once",
        "executor_id": "write_once",
        "opened": "write_once",  # a clock reading: {wall_ms, mono_ms, boot}
        "state": "lattice",
        "note": "last_writer",
        "shares": "review",  # how many were named; one animal has one to seven
        "frozen": "write_once",  # whether the box knew that the shares of the animal do not change any more
    },
    "cash": {  # taken at the site
        "reference": "write_once",  # of the order that it is for
        "amount": "review",
    },
    "video": {
        "sacrifice_id": "write_once",
        "sha256": "write_once",  # of the original, hex
        "size": "write_once",  # bytes of the original
        "blob_id": "write_once",  # sha256 of the sealed bytes, hex: what travels
        "blob_size": "write_once",
        "media_type": "write_once",
        "captured": "write_once",  # a clock reading
    },
    "verdict": {
        "video_id": "write_once",
        "outcome": "write_once",
        "body": "write_once",  # shared.domain.verdict.Verdict as plain data
    },
    "copy": {  # a file that goes ahead of a video, as the box makes it; provisional until the hub has its own
        "video_id": "write_once",
        "variant": "write_once",  # poster or preview
        "sha256": "write_once",  # of the file, hex
        "size": "write_once",
        "blob_id": "write_once",
        "blob_size": "write_once",
    },
    "manifest": {
        "video_id": "write_once",
        "text": "write_once",  # the file as it was signed, see shared.evidence.manifest
    },
    "photo": {
        "of": "write_once",  # the id of the animal or hide that it shows
        "sha256": "write_once",  # of the file, hex
        "size": "write_once",
        "blob_id": "write_once",
        "blob_size": "write_once",
        "media_type": "write_once",
    },
    # Written by both: a hub lists what is to come, a box what has come, and the feed tells what both come to.
    "animal": {
        "site_id": "write_once",
        "tag": "last_writer",
        "species": "last_writer",
        "pen": "last_writer",
        "weight_g": "last_writer",
        "age_months": "last_writer",
        "sex": "last_writer",
        "defects": "last_writer",  # of shared.domain.animal.DEFECTS
        "vet_note": "last_writer",
        "arrived": "last_writer",  # a clock reading
        "frozen": "cloud_only",  # its shares do not change any more
    },
    "skin": {
        "site_id": "write_once",
        "animal_id": "write_once",
        "grade": "last_writer",  # of shared.domain.hide.GRADES
        "faults": "last_writer",  # of shared.domain.hide.FAULTS
        "heat_c": "last_writer",  # how hot it was when it was flayed
        "flayed": "last_writer",  # a clock reading
        "salted": "last_writer",  # a clock reading
        "sold": "review",  # to whom and for how much
    },
    "batch": {  # meat on the scales
        "site_id": "write_once",
        "animals": "last_writer",  # the ids of those that it comes from
        "weight_g": "last_writer",
        "packs": "last_writer",
        "weighed": "write_once",  # a clock reading
    },
    # Written by the hub, drawn by boxes through the site feed.
    "site": {
        "name": "cloud_only",
        "timezone": "cloud_only",
        "languages": "cloud_only",
        # See shared.domain.eid; absent as long as nobody has said.
        "latitude": "cloud_only",
        "longitude": "cloud_only",
        "eid_day": "cloud_only",
        "eid_begins": "cloud_only",
        "eid_days": "cloud_only",
        "sheep_months": "cloud_only",  # see shared.domain.animal
        "per_hour": "cloud_only",  # how many animals the site plans to sacrifice in an hour
    },
    "share": {
        "animal_id": "cloud_only",
        "reference": "cloud_only",  # the order's short number, to speak of it on the phone
        "name": "cloud_only",
        "language": "cloud_only",
        "spellings": "cloud_only",
        "deceased": "cloud_only",  # true, or not there
    },
    "executor": {"name": "cloud_only", "pin_hash": "cloud_only", "language": "cloud_only"},
    "film": {  # what became of a video, under its id
        "outcome": "cloud_only",  # of the hub's own check, or of the people who decided after it
        "remedy": "cloud_only",  # what a person at the hub asks the site to do again
        "feedback": "cloud_only",  # what a person at the hub says to whoever recorded it
        "seen_ms": "cloud_only",  # when a donor whose share is in it first opened it; nobody says which
    },
    "receipt": {  # see sync.receipts
        "blob_id": "cloud_only",
        "size": "cloud_only",
        "durable_ms": "cloud_only",
        "signature": "cloud_only",
    },
}

OWN = ("animal", "skin", "batch")
"""What boxes write and the hub tells back: a box shows its own word until it has heard it."""

TOLD = ("site", "share", "executor", "film", "receipt", *OWN)
"""What the hub tells boxes in the site feed."""



class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in the smallest unit of its currency."""

    minor: Annotated[int, msgspec.Meta(ge=0)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Sold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    buyer: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    price: Money


VALUES: dict[tuple[str, str], Any] = {
    ("sacrifice", "shares"): Annotated[int, msgspec.Meta(ge=1, le=7)],
    ("skin", "sold"): Sold,
    ("cash", "amount"): Money,
    ("animal", "tag"): Tag,
    ("animal", "species"): Species,
    ("animal", "pen"): Annotated[str, msgspec.Meta(max_length=40)],
    ("animal", "weight_g"): Grams | None,
    ("animal", "age_months"): Months | None,
    ("animal", "sex"): Sex | None,
    ("animal", "defects"): list[Defect],
    ("animal", "vet_note"): Note,
    ("skin", "grade"): Grade | None,
    ("skin", "faults"): list[Fault],
    ("skin", "heat_c"): Celsius | None,
    ("batch", "animals"): list[str],
    ("batch", "weight_g"): BatchGrams,
    ("batch", "packs"): Packs,
}
"""What a value of these fields must be."""

CLAIMS: dict[tuple[str, str], str] = {
    ("sacrifice", "animal_id"): "sacrificed", ("skin", "animal_id"): "skinned", ("animal", "tag"): "tagged",
}  # fmt: skip
"""Fields that name something which only one record may name: an animal is sacrificed once, has one skin, and its tag is
that of no other at its site (a tag is written together with the ``site_id``; :func:`shared.domain.animal.tag_id`).

Whoever writes such a field claims what it names; the claims of one thing are merged like the field ``by`` of a record
of this kind, so that a second one stays beside the first, and is a conflict.
"""
CLAIM: dict[str, Policy] = {"by": "write_once"}

LATTICES: dict[tuple[str, str], Machine] = {("sacrifice", "state"): SACRIFICE}
"""The machine whose order of progress ranks each ``lattice`` field."""
