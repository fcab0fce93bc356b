"""News by hand: what a box takes in, what it does not, and what the feed says later."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from edge import news as taking
from edge.capture import Capture
from edge.db import Database
from edge.news import Taken
from edge.node import Keys, Node
from edge.node import save as save_node
from shared import sealed
from shared.clock import ManualClock
from shared.crypto import SigningKey, UnsealKey
from shared.errors import QurbaniError
from shared.ids import new_id
from sync import news
from sync.bundle import Sender
from sync.messages import Change
from sync.news import News
from tests.unit.edge.conftest import ANIMAL, EXECUTOR
from tests.unit.sync.chains import HUB_KEY, NODE, SITE

LATE, NEW_NAME = new_id(), new_id()
ISSUED = 1_780_000_100_000
HEARD = 1_780_000_000_000

CHANGES = [
    Change(5, "animal", LATE, {"site_id": str(SITE), "tag": "18", "species": "goat", "pen": "A"}),
    Change(6, "share", NEW_NAME, {"animal_id": str(LATE), "name": "Moussa Keïta", "language": "fr"}),
    Change(8, "executor", EXECUTOR, None),
]

Write = Callable[..., bytes]


@pytest.fixture
def node(db: Database) -> Node:
    enrolled = Node(NODE, SITE, "box 1", "http://hub.example", HUB_KEY.public.raw, bytes(32))
    save_node(db, enrolled)
    return enrolled


@pytest.fixture
def write(keys: Keys, capture: Capture) -> Write:
    """What the hub writes for this box, which has read up to 3; changes are forgeries."""

    def written(key: SigningKey = HUB_KEY, to: UnsealKey | None = None, **change: Any) -> bytes:
        told = replace(News(NODE, SITE, 3, b"", 9, ISSUED, CHANGES), **change)
        recipient = (to or keys.seal).public
        return news.write(Sender(told.node, key, recipient, partial(sealed.seal, recipients=[recipient])), told)

    return written


@pytest.fixture
def take(db: Database, keys: Keys, clock: ManualClock) -> Callable[[bytes], Taken]:
    return partial(taking.take, db, keys, clock)


def names(db: Database) -> list[str]:
    return [row["name"] for row in db.rows("SELECT name FROM share ORDER BY name")]


def executors(db: Database) -> list[str]:
    return [row["id"] for row in db.rows("SELECT id FROM executor")]


def cursor(db: Database) -> int:
    return int(db.rows("SELECT cursor FROM link")[0]["cursor"])


def test_late_orders_and_whoever_left(db: Database, take: Callable[[bytes], Taken], write: Write) -> None:
    assert take(write()) == Taken(3, ISSUED)
    assert names(db) == ["Ahmed Benali", "Moussa Keïta"]
    assert executors(db) == []
    assert cursor(db) == 3, "receipts from here on are still to be read"


def test_they_are_taken_once(db: Database, take: Callable[[bytes], Taken], write: Write) -> None:
    raw = write()
    take(raw)
    for again in (raw, write(issued_ms=ISSUED - 1)):
        with pytest.raises(QurbaniError, match="old_news"):
            take(again)
    assert take(write(issued_ms=ISSUED + 1)) == Taken(0, ISSUED + 1)


def test_what_the_hub_has_said_since_counts(db: Database, take: Callable[[bytes], Taken], write: Write) -> None:
    db.write(lambda tx: tx.execute("UPDATE link SET contact_hub_ms = ?", [ISSUED]))
    with pytest.raises(QurbaniError, match="old_news"):
        take(write())
    assert executors(db) == [str(EXECUTOR)]


def forgeries() -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        "another hub": ("bad_signature", {"key": SigningKey.generate()}),
        "another box": ("foreign_bundle", {"to": UnsealKey.generate()}),
        "another box's name": ("foreign_bundle", {"node": new_id()}),
        "another site": ("foreign_bundle", {"site": new_id()}),
        "something between": ("missing_news", {"since": 4}),
        "a hub that was put back": ("missing_news", {"mark": b"another!"}),
        "another version": ("bad_version", {"version": 2}),
        "a receipt": ("damaged", {"changes": [Change(5, "receipt", new_id(), {})]}),
        "a change from elsewhere": ("damaged", {"changes": [Change(10, "share", new_id(), {})]}),
    }


@pytest.mark.parametrize("name", forgeries())
def test_what_is_not_for_this_box_now(db: Database, take: Callable[[bytes], Taken], write: Write, name: str) -> None:
    code, change = forgeries()[name]
    with pytest.raises(QurbaniError, match=code):
        take(write(**change))
    assert (names(db), executors(db)) == (["Ahmed Benali"], [str(EXECUTOR)])


def test_one_altered_byte(db: Database, take: Callable[[bytes], Taken], write: Write) -> None:
    raw = write()
    for place in range(0, len(raw), 7):
        with pytest.raises(QurbaniError) as refused:
            take(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        assert refused.value.code in {"damaged", "foreign_bundle"}, place
    with pytest.raises(QurbaniError, match="damaged"):
        take(raw[:-1])
    assert executors(db) == [str(EXECUTOR)]


def test_a_page_that_comes_late_undoes_nothing(
    db: Database, capture: Capture, take: Callable[[bytes], Taken], write: Write
) -> None:
    """An old stick knows whoever left under a change of before; then the feed itself comes to where the news were."""
    take(write())
    back = {"name": "Yusuf", "pin_hash": "x"}
    capture.apply_feed([Change(4, "executor", EXECUTOR, back)], 5, b"m" * 8)
    assert executors(db) == []
    assert names(db) == ["Ahmed Benali", "Moussa Keïta"]
    capture.apply_feed([Change(10, "executor", EXECUTOR, back)], 10, b"n" * 8)
    assert executors(db) == [str(EXECUTOR)], "he came back, and the hub said so after the news"
    assert db.rows("SELECT * FROM news") == []


def test_news_that_are_older_than_others_change_nothing(
    db: Database, take: Callable[[bytes], Taken], write: Write, capture: Capture
) -> None:
    take(write())
    other = [Change(6, "executor", EXECUTOR, {"name": "Yusuf"})]
    assert take(write(issued_ms=ISSUED + 1, changes=other)).changes == 0
    capture.apply_feed([], 7, b"m" * 8)
    assert take(write(issued_ms=ISSUED + 2, changes=other)).changes == 0
    assert executors(db) == []


def test_a_hub_that_was_put_back_has_the_last_word(
    db: Database, capture: Capture, take: Callable[[bytes], Taken], write: Write
) -> None:
    take(write())
    capture.apply_feed([Change(1, "animal", ANIMAL, {"tag": "17"})], 2, b"p" * 8, again=True)
    assert names(db) == []


def test_what_is_recorded_next_is_stamped_later(
    db: Database, take: Callable[[bytes], Taken], write: Write, capture: Capture, clock: ManualClock
) -> None:
    """The clock of the box is slow; what it heard by hand orders its ops all the same."""
    clock.wall_ms = HEARD
    take(write())
    capture.open_sacrifice(UUID(int=7), ANIMAL, EXECUTOR)
    assert db.rows("SELECT hlc FROM op")[0]["hlc"] > ISSUED << 16
