"""What the hub told the site, and what a box believes of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from edge import node as identity
from edge.capture import Capture, Video
from edge.db import Database
from edge.node import Keys, Node
from edge.outbox import Outbox
from edge.site import Site
from shared.clock import ManualClock
from shared.crypto import SigningKey
from shared.ids import new_id
from sync import ops, receipts
from sync.digest import Tree
from sync.messages import Change
from sync.receipts import Receipt
from tests.unit.sync.chains import HUB_KEY

BLOB = "ab" * 32


@pytest.fixture
def node(db: Database) -> Node:
    enrolled = Node(new_id(), new_id(), "box 1", "http://hub.example", HUB_KEY.public.raw, bytes(32))
    identity.save(db, enrolled)
    return enrolled


@pytest.fixture
def outbox(db: Database, keys: Keys, capture: Capture, clock: ManualClock, sacrifice: UUID) -> Outbox:
    capture.keep_video(Video(new_id(), sacrifice, "cd" * 32, 5, BLOB, 300, "video/mp4"), new_id())
    return Outbox(db, keys, capture, clock)


def receipt(**forged: Any) -> dict[str, Any]:
    fields = receipts.sign(Receipt(BLOB, 300, 1_780_000_000_000), forged.pop("key", HUB_KEY))
    return fields | forged


def confirmed(db: Database) -> Any:
    return db.rows("SELECT sent, confirmed_ms FROM blob")[0]


def test_a_receipt_of_the_hub_confirms_a_file(db: Database, capture: Capture, outbox: Outbox) -> None:
    outbox.sent(BLOB)
    assert confirmed(db) == {"sent": 1, "confirmed_ms": None}, "sent is not confirmed"
    capture.apply_feed([Change(10, "receipt", receipts.key(BLOB), receipt())], 10)
    assert confirmed(db) == {"sent": 1, "confirmed_ms": 1_780_000_000_000}


def test_a_video_is_said_to_be_no_further_than_the_hub_has_signed_for(
    db: Database, capture: Capture, outbox: Outbox
) -> None:
    site, video = Site(db), UUID(db.rows("SELECT id FROM video")[0]["id"])

    def place() -> str:
        (kept,) = site.sacrifice(UUID(db.rows("SELECT id FROM sacrifice")[0]["id"]), "").videos
        return kept.place

    assert place() == "on_box"
    db.write(lambda tx: tx.execute("UPDATE blob SET stick_ms = 5"))
    assert place() == "on_stick"
    outbox.sent(BLOB)
    capture.apply_feed([Change(9, "film", video, {"outcome": "authentic", "seen_ms": 7})], 9)
    assert place() == "on_stick", "there is no receipt"
    capture.apply_feed([Change(10, "receipt", receipts.key(BLOB), receipt())], 10)
    assert place() == "seen"
    capture.apply_feed([Change(11, "film", video, {"outcome": "authentic"})], 11)
    assert place() == "verified"
    capture.apply_feed([Change(12, "film", video, {"outcome": "review"})], 12)
    assert place() == "in_cloud"


def test_the_hubs_word_stands_above_the_boxs_own(db: Database, capture: Capture, outbox: Outbox) -> None:
    site, video = Site(db), UUID(db.rows("SELECT id FROM video")[0]["id"])

    def said() -> tuple[str | None, str, str | None]:
        (kept,) = site.sacrifice(UUID(db.rows("SELECT id FROM sacrifice")[0]["id"]), "").videos
        return kept.outcome, kept.remedy, site.animals()[0].outcome

    assert said() == (None, "", None)
    db.write(lambda tx: tx.execute("INSERT INTO verdict (id, video_id, outcome, body) VALUES ('v', ?, 'authentic', ?)",
                                   [str(video), '{"outcome": "authentic", "code": "1"}']))
    assert said() == ("authentic", "", "authentic")
    for outcome in ("review", "rejected"):
        capture.apply_feed([Change(9, "film", video, {"outcome": outcome})], 9)
        assert said() == (outcome, "", outcome)
    capture.apply_feed([Change(10, "film", video, {"outcome": "review", "remedy": "Show the knife."})], 10)
    assert said() == ("rejected", "Show the knife.", "rejected")


def test_who_is_dead_is_called_so_and_of_others_an_older_hub_says_nothing(db: Database, capture: Capture) -> None:
    animal = str(Site(db).animals()[0].id)
    shares = [{"animal_id": animal, "name": name, "language": "fr"} for name in ("Zohra", "Ahmed")]
    shares[1] |= {"deceased": True}
    news = [Change(9 + at, "share", UUID(int=9 + at), fields) for at, fields in enumerate(shares)]
    capture.apply_feed(news, 10)
    told = {share.name: share.deceased for share in Site(db).animals()[0].shares}
    assert told["Zohra"] is False
    assert told["Ahmed"] is True


@pytest.mark.parametrize("forged", [
    {"key": SigningKey(b"x" * 32)}, {"size": 301}, {"durable_ms": 1}, {"signature": ""}, {"signature": None},
    {"blob_id": "cd" * 32}, {"blob_id": "x"},
])  # fmt: skip
def test_what_the_hub_did_not_sign_confirms_nothing(
    db: Database, capture: Capture, outbox: Outbox, forged: dict[str, Any]
) -> None:
    capture.apply_feed([Change(10, "receipt", receipts.key(BLOB), receipt(**forged))], 10)
    assert confirmed(db) == {"sent": 0, "confirmed_ms": None}


def test_a_receipt_over_fewer_bytes_confirms_nothing(db: Database, capture: Capture, outbox: Outbox) -> None:
    fewer = receipts.sign(Receipt(BLOB, 299, 1), HUB_KEY)
    capture.apply_feed([Change(10, "receipt", receipts.key(BLOB), fewer)], 10)
    assert confirmed(db)["confirmed_ms"] is None


def test_what_the_hub_takes_back_is_offered_again_also_when_its_bytes_have_left_the_box(
    db: Database, capture: Capture, outbox: Outbox
) -> None:
    capture.apply_feed([Change(10, "receipt", receipts.key(BLOB), receipt())], 10, b"m")
    db.write(lambda tx: tx.execute("UPDATE blob SET pruned = 1"))
    assert outbox.outgoing() == []
    outbox.repair([Change(0, "receipt", receipts.key(BLOB), None)])
    assert confirmed(db) == {"sent": 0, "confirmed_ms": None}
    assert [blob.blob_id for blob in outbox.outgoing()] == [BLOB], "the hub may have it still, and is asked"


def test_a_whole_reading_keeps_what_is_there_until_its_end(
    db: Database, capture: Capture, outbox: Outbox, node: Node
) -> None:
    capture.apply_feed([Change(10, "receipt", receipts.key(BLOB), receipt())], 10, b"m")
    kept = Change(1, "site", node.site_id, {"name": "Mirpur"})
    capture.apply_feed([kept], 1, b"n", again=True, more=True)
    assert (outbox.position().cursor, outbox.position().mark) == (1, b"n")
    assert db.rows("SELECT count(*) AS animals FROM animal") == [{"animals": 1}]
    capture.apply_feed([Change(2, "site", new_id(), {"name": "Beni Slimane"})], 2, b"o")
    assert db.rows("SELECT count(*) AS animals FROM animal") == [{"animals": 0}]
    assert len(db.rows("SELECT * FROM site")) == 2
    assert confirmed(db) == {"sent": 0, "confirmed_ms": None}, "the hub knows of no receipt: it is offered again"
    assert [blob.blob_id for blob in outbox.outgoing()] == [BLOB]


def test_what_this_version_does_not_know_counts_in_the_digest(capture: Capture, outbox: Outbox) -> None:
    before = outbox.records()
    new = Change(10, "of_tomorrow", new_id(), {"x": [1, 1.0, None, "\u0641"]})
    capture.apply_feed([new], 10)
    assert outbox.records() == before | {("of_tomorrow", new.key): new.fields}
    told = before | {("of_tomorrow", new.key): {"x": [1, 1.0, None, "\u0641"]}}
    assert Tree(outbox.records()).hash() == Tree(told).hash()


def test_a_box_takes_another_name_and_keeps_what_it_signed(
    db: Database, keys: Keys, capture: Capture, outbox: Outbox, node: Node
) -> None:
    former, whole = outbox.position(), outbox.batch(0, 100, 1 << 20)
    assert whole is not None
    heir, name = outbox.heir(), new_id()
    assert outbox.heir().sign.public == heir.sign.public, "until it is taken, it is the same"
    outbox.take_over(name, 1)
    assert (outbox.position().node, outbox.position().head, outbox.position().acked) == (name, former.head - 1, 0)
    again = outbox.batch(0, 100, 1 << 20)
    assert again is not None
    assert again.lines == whole.lines[1:]
    ops.verify(again, heir.sign.public)
    assert db.rows("SELECT count(*) AS ops FROM former_op") == [{"ops": former.head}]
    capture.open_sacrifice(*_another_animal(capture), new_id())
    after = outbox.batch(again.last, 1, 1)
    assert after is not None
    ops.verify(after, heir.sign.public)
    assert outbox.heir().sign.public != heir.sign.public
    assert identity.load(db) is not None


def _another_animal(capture: Capture) -> tuple[UUID, UUID]:
    animal = new_id()
    capture.apply_feed([Change(20, "animal", animal, {"site_id": str(new_id()), "tag": "18"})], 20)
    return new_id(), animal
