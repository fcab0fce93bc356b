"""Who may write which field of a synced record, and how two copies of it become one.

The one table that both ends of the sync protocol share. A record is named by ``(entity, key)``; a
field that is not listed here is refused.
"""

from __future__ import annotations

from typing import Literal

from shared.domain.machine import Machine
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
    # Written by the hub, drawn by boxes through the site feed.
    "site": {"name": "cloud_only", "timezone": "cloud_only", "languages": "cloud_only"},
    "animal": {
        "site_id": "cloud_only",
        "tag": "cloud_only",
        "species": "cloud_only",
        "pen": "cloud_only",
    },
    "share": {
        "animal_id": "cloud_only",
        "reference": "cloud_only",  # the order's short number, to speak of it on the phone
        "name": "cloud_only",
        "language": "cloud_only",
        "spellings": "cloud_only",
    },
    "executor": {"name": "cloud_only", "pin_hash": "cloud_only", "language": "cloud_only"},
    "receipt": {"blob_id": "cloud_only", "body": "cloud_only", "signature": "cloud_only"},
}

LATTICES: dict[tuple[str, str], Machine] = {("sacrifice", "state"): SACRIFICE}
"""The machine whose order of progress ranks each ``lattice`` field."""
