"""Practice: a box inside the box, with animals of its own, whose records and videos never leave it.

It has its own folder, database and keys and belongs to no hub, so nothing of it can get among what is real. It begins
anew each time the box starts.
"""

from __future__ import annotations

import shutil
from uuid import UUID

import msgspec

from edge import node as identity
from edge.capture import Capture
from edge.db import Database
from edge.node import Keys, Node
from edge.settings import Settings
from edge.vault import Vault
from shared.clock import Clock
from shared.ids import NewId
from sync.messages import Change

ANIMALS = (
    ("P1", "sheep", (("Ahmed Benali", "fr"),)),
    ("P2", "goat", (("خديجة المنصوري", "ar"),)),
    ("P3", "sheep", (("Sarah Hughes", "en"),)),
    ("P4", "cow", (("Moussa Keïta", "fr"), ("فاطمة الزهراء بوزيد", "ar"), ("Yusuf Karim", "en"))),
)


def settings(real: Settings) -> Settings:
    """Those of the practice box."""
    return msgspec.structs.replace(real, data=str(real.folder / "practice"))


def inside(real: Settings, password: bytes | None) -> tuple[Settings, Vault]:
    """What opens the practice box: its keys lie as those of the box do."""
    inner = settings(real)
    return inner, Vault(inner.keys, password)


def begin(real: Settings, password: bytes | None, site_languages: list[str], clock: Clock, new_id: NewId) -> None:
    """Forget what was practised, and put up the animals."""
    inner, vault = inside(real, password)
    shutil.rmtree(inner.folder, ignore_errors=True)
    inner.make_folders()
    keys, db = Keys.make(vault), Database(inner.database)
    site = new_id()
    try:
        identity.save(db, Node(new_id(), site, "practice", "", keys.sign.public.raw, keys.seal.public.raw))
        changes = [Change(1, "site", site, {"languages": site_languages})]
        for tag, species, names in ANIMALS:
            animal = new_id()
            fields = {"site_id": str(site), "tag": tag, "species": species, "pen": "", "frozen": True}
            changes.append(Change(1, "animal", animal, fields))
            changes += [_share(new_id(), animal, name, language) for name, language in names]
        Capture(db, keys.ring, clock, new_id).apply_feed(changes, 1)
    finally:
        db.close()


def _share(id: UUID, animal: UUID, name: str, language: str) -> Change:
    return Change(1, "share", id, {"animal_id": str(animal), "name": name, "language": language})
