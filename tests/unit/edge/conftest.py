"""An enrolled box in one process, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from edge import node as identity
from edge.capture import Capture
from edge.db import Database
from edge.node import Keys, Node
from edge.vault import Vault
from shared.clock import ManualClock
from shared.crypto import SigningKey, UnsealKey
from shared.ids import new_id
from sync.messages import Change

ANIMAL, SHARE, EXECUTOR = new_id(), new_id(), new_id()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "edge.db")
    yield database
    database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    folder = tmp_path / "keys"
    folder.mkdir()
    return Keys.make(Vault(folder))


@pytest.fixture
def node(db: Database) -> Node:
    hub_sign, hub_seal = SigningKey.generate().public.raw, UnsealKey.generate().public.raw
    enrolled = Node(new_id(), new_id(), "box 1", "http://hub.example", hub_sign, hub_seal)
    identity.save(db, enrolled)
    return enrolled


@pytest.fixture
def capture(db: Database, keys: Keys, clock: ManualClock, node: Node) -> Capture:
    """Its site has one animal with one share."""
    capture = Capture(db, keys.ring, clock, new_id)
    capture.apply_feed(
        [
            Change(1, "animal", ANIMAL, {"site_id": str(node.site_id), "tag": "17", "species": "sheep", "pen": "A"}),
            Change(2, "share", SHARE, {"animal_id": str(ANIMAL), "name": "Ahmed Benali", "language": "ar"}),
            Change(3, "executor", EXECUTOR, {"name": "Yusuf", "pin_hash": "", "language": "ar"}),
        ],
        3,
    )
    return capture


@pytest.fixture
def sacrifice(capture: Capture) -> UUID:
    id = new_id()
    capture.open_sacrifice(id, ANIMAL, EXECUTOR)
    return id
