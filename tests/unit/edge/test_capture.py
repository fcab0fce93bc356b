from __future__ import annotations

import json
from uuid import UUID

import msgspec
import pytest

from edge import jobs
from edge.capture import Capture, Video
from edge.db import Database
from edge.jobs import Lease
from edge.node import Keys, Node
from edge.outbox import Outbox
from edge.site import Site
from edge.vault import Vault
from shared.clock import ManualClock
from shared.domain.fields import FIELDS
from shared.domain.verdict import Reason, Verdict
from shared.errors import QurbaniError
from shared.ids import new_id
from sync import hlc, ops
from sync.messages import Change, Parked

GOOD = Verdict("authentic", "1")
UNSURE = Verdict("review", "1", reasons=(Reason("no_detector"),))


def film(sacrifice: UUID, **changes: object) -> Video:
    sealed = new_id().hex * 2
    return msgspec.structs.replace(
        Video(new_id(), sacrifice, sha256="ab" * 32, size=5, blob_id=sealed, blob_size=300, media_type="video/mp4"),
        **changes,
    )


def take(db: Database, clock: ManualClock) -> Lease:
    lease = db.write(lambda tx: jobs.take(tx, clock.read(), new_id()))
    assert lease is not None
    return lease


def counts(db: Database) -> tuple[int, ...]:
    tables = ("sacrifice", "video", "blob", "verdict", "job", "op")
    return db.read(lambda tx: tuple(tx[table].count for table in tables))


def patches(db: Database) -> list[tuple[str, str, dict[str, object]]]:
    rows = db.rows("SELECT entity, actor, patch FROM op ORDER BY seq")
    return [(row["entity"], row["actor"], msgspec.msgpack.decode(row["patch"])) for row in rows]


def test_the_story_of_one_sacrifice(
    db: Database, capture: Capture, clock: ManualClock, keys: Keys, node: Node, sacrifice: UUID
) -> None:
    executor = db.rows("SELECT executor_id FROM sacrifice")[0]["executor_id"]
    video = film(sacrifice)
    clock.advance(1000)
    capture.keep_video(video, UUID(executor))
    assert counts(db) == (1, 1, 1, 0, 1, 3)
    capture.record_verdict(take(db, clock), video.id, UNSURE)
    assert counts(db) == (1, 1, 1, 1, 2, 6), "to check it, and to make what goes ahead of it"

    told = patches(db)
    assert [(entity, actor) for entity, actor, _ in told] == [
        ("sacrifice", executor),
        ("video", executor),
        ("sacrifice", executor),
        ("verdict", "box"),
        ("manifest", "box"),
        ("sacrifice", "box"),
    ]
    states = [patch["state"] for entity, _, patch in told if entity == "sacrifice"]
    assert states == ["opened", "recorded", "judged"]
    assert told[1][2]["captured"] == {"wall_ms": 1_780_000_001_000, "mono_ms": 1000, "boot": "boot-0"}
    assert msgspec.convert(told[3][2]["body"], Verdict) == UNSURE
    assert all(field in FIELDS[entity] for entity, _, patch in told for field in patch)

    batch = Outbox(db, keys, capture, clock).batch(0, 100, 1 << 20)
    assert batch is not None
    chained = ops.verify(batch, keys.sign.public)
    assert [op.seq for op, _ in chained] == [1, 2, 3, 4, 5, 6]
    assert [digest for _, digest in chained] == [row["hash"] for row in db.rows("SELECT hash FROM op ORDER BY seq")]


def test_repeats_change_nothing(db: Database, capture: Capture, clock: ManualClock, sacrifice: UUID) -> None:
    row = db.rows("SELECT animal_id, executor_id FROM sacrifice")[0]
    animal, executor = UUID(row["animal_id"]), UUID(row["executor_id"])
    video = film(sacrifice)
    for _ in range(3):
        capture.open_sacrifice(sacrifice, animal, executor)
        capture.keep_video(video, executor)
        # A tablet that lost its upload sends the same video again, and it is sealed under another key.
        capture.keep_video(msgspec.structs.replace(video, blob_id=new_id().hex * 2), executor)
    assert counts(db) == (1, 1, 1, 0, 1, 3)
    lease = take(db, clock)
    capture.record_verdict(lease, video.id, GOOD)
    with pytest.raises(QurbaniError, match="lost_lease"):
        capture.record_verdict(lease, video.id, GOOD)
    assert counts(db) == (1, 1, 1, 1, 2, 6)


def test_an_animal_is_sacrificed_once(db: Database, capture: Capture, sacrifice: UUID) -> None:
    animal = UUID(db.rows("SELECT animal_id FROM sacrifice")[0]["animal_id"])
    with pytest.raises(QurbaniError) as raised:
        capture.open_sacrifice(new_id(), animal, new_id())
    assert raised.value.code == "conflict"
    assert raised.value.facts == {"sacrifice_id": str(sacrifice)}
    with pytest.raises(QurbaniError, match="conflict"):
        capture.open_sacrifice(sacrifice, new_id(), new_id())
    assert counts(db)[0] == 1


def test_what_is_not_there_is_not_recorded(db: Database, capture: Capture) -> None:
    with pytest.raises(QurbaniError, match="not_found"):
        capture.open_sacrifice(new_id(), new_id(), new_id())
    with pytest.raises(QurbaniError, match="not_found"):
        capture.keep_video(film(new_id()), new_id())
    assert counts(db) == (0, 0, 0, 0, 0, 0)


def test_a_video_id_is_used_once(db: Database, capture: Capture, sacrifice: UUID) -> None:
    video = film(sacrifice)
    capture.keep_video(video, new_id())
    with pytest.raises(QurbaniError, match="conflict"):
        capture.keep_video(film(sacrifice, id=video.id, sha256="cd" * 32), new_id())
    assert counts(db) == (1, 1, 1, 0, 1, 3)


def test_a_retake(db: Database, capture: Capture, clock: ManualClock, sacrifice: UUID) -> None:
    """A sacrifice is judged when each of its videos is, also when the second came before the first was checked."""
    first, second = film(sacrifice), film(sacrifice)
    capture.keep_video(first, new_id())
    capture.keep_video(second, new_id())
    state = "SELECT state FROM sacrifice"
    capture.record_verdict(take(db, clock), first.id, UNSURE)
    assert db.rows(state) == [{"state": "recorded"}]
    capture.record_verdict(take(db, clock), second.id, GOOD)
    assert db.rows(state) == [{"state": "judged"}]
    capture.keep_video(film(sacrifice), new_id())
    assert db.rows(state) == [{"state": "recorded"}]


def test_a_job_that_is_given_up_still_answers(
    db: Database, capture: Capture, clock: ManualClock, sacrifice: UUID
) -> None:
    video = film(sacrifice)
    capture.keep_video(video, new_id())
    capture.record_unchecked(take(db, clock), video.id, UNSURE, "the worker died five times")
    assert db.rows("SELECT state, reason FROM job") == [{"state": "parked", "reason": "the worker died five times"}]
    assert db.rows("SELECT outcome FROM verdict") == [{"outcome": "review"}]


def test_a_verdict_and_the_end_of_its_job_are_one(
    db: Database, capture: Capture, clock: ManualClock, sacrifice: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = film(sacrifice)
    capture.keep_video(video, new_id())
    lease = take(db, clock)
    before = counts(db)
    with monkeypatch.context() as patch:
        patch.setattr(Capture, "_append", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            capture.record_verdict(lease, video.id, GOOD)
    assert counts(db) == before
    assert db.rows("SELECT state FROM job") == [{"state": "open"}]
    capture.record_verdict(lease, video.id, GOOD)


def test_stamps_never_run_backwards(db: Database, capture: Capture, clock: ManualClock, sacrifice: UUID) -> None:
    """Not when the clock does, and not behind what the hub said."""
    for wall_ms in (clock.wall_ms - 86_400_000, 0, clock.wall_ms + 86_400_000, clock.wall_ms):
        clock.wall_ms = wall_ms
        capture.keep_video(film(sacrifice), new_id())
    stamps = [row["hlc"] for row in db.rows("SELECT hlc FROM op ORDER BY seq")]
    assert stamps == sorted(set(stamps))


def test_what_follows_the_hubs_word_is_stamped_after_it(
    db: Database, capture: Capture, clock: ManualClock, keys: Keys, sacrifice: UUID
) -> None:
    outbox = Outbox(db, keys, capture, clock)
    hub_ms = clock.wall_ms + 3_600_000
    outbox.heard(hub_ms)
    outbox.heard(hub_ms - 5)
    capture.keep_video(film(sacrifice), new_id())
    assert db.rows("SELECT min(hlc) AS next FROM op WHERE seq > 1")[0]["next"] > hlc.pack(hub_ms)


class TestFeed:
    def test_a_change_replaces_its_record(self, db: Database, capture: Capture) -> None:
        share = new_id()
        fields = {"name": "Leila", "language": "ar", "spellings": ["Layla", "ليلى"], "of_tomorrow": 1}
        capture.apply_feed([Change(10, "share", share, fields), Change(11, "of_tomorrow", new_id(), {})], 11)
        capture.apply_feed([Change(12, "share", share, {"name": "Layla"})], 12)
        row = db.rows("SELECT * FROM share WHERE id = ?", str(share))[0]
        assert (row["name"], row["language"], row["spellings"]) == ("Layla", None, None)

    def test_lists_survive(self, db: Database, capture: Capture) -> None:
        share = new_id()
        capture.apply_feed([Change(10, "share", share, {"name": "Leila", "spellings": ["Layla", "ليلى"]})], 10)
        text = db.rows("SELECT spellings FROM share WHERE id = ?", str(share))[0]["spellings"]
        assert json.loads(text) == ["Layla", "ليلى"]

    def test_a_tombstone_takes_its_record_away(self, db: Database, capture: Capture) -> None:
        capture.apply_feed([Change(10, "site", (site := new_id()), {"name": "Mirpur"})], 10)
        capture.apply_feed([Change(11, "site", site, None)], 11)
        assert db.rows("SELECT * FROM site") == []

    def test_a_page_that_comes_again_changes_nothing(self, db: Database, capture: Capture) -> None:
        site = new_id()
        old = [Change(10, "site", site, {"name": "old"})]
        capture.apply_feed(old, 10)
        capture.apply_feed([Change(11, "site", site, {"name": "new"})], 11)
        capture.apply_feed(old, 10)
        assert db.rows("SELECT name FROM site") == [{"name": "new"}]
        assert db.rows("SELECT cursor FROM link") == [{"cursor": 11}]


class TestOutbox:
    @pytest.fixture
    def outbox(self, db: Database, keys: Keys, capture: Capture, clock: ManualClock, sacrifice: UUID) -> Outbox:
        for _ in range(4):
            capture.keep_video(film(sacrifice), new_id())
        return Outbox(db, keys, capture, clock)

    def test_batches_of_any_size_join_into_one_chain(self, outbox: Outbox, keys: Keys) -> None:
        whole = outbox.batch(0, 100, 1 << 20)
        assert whole is not None
        assert len(whole.lines) == 6
        for limits in ((1, 1 << 20), (4, 1 << 20), (100, 1)):
            lines: list[ops.Line] = []
            while batch := outbox.batch(len(lines), *limits):
                assert batch.first == len(lines) + 1
                ops.verify(batch, keys.sign.public)
                lines += batch.lines
            assert lines == whole.lines

    def test_what_the_hub_holds_is_what_it_says_last(self, outbox: Outbox, db: Database) -> None:
        """Less than before, when it was put back to an old state."""
        outbox.acknowledge(4, [Parked(2, "bad_op", "of no use")])
        outbox.acknowledge(3, [])
        position = outbox.position()
        assert (position.head, position.acked) == (6, 3)
        parked = "SELECT seq, parked FROM op WHERE parked IS NOT NULL"
        assert db.rows(parked) == [{"seq": 2, "parked": "bad_op: of no use"}]
        outbox.acknowledge(6, [Parked(5, "bad_op", "neither")], whole=True)
        assert db.rows(parked) == [{"seq": 5, "parked": "bad_op: neither"}]

    def test_the_state_of_the_link(self, outbox: Outbox, db: Database, clock: ManualClock) -> None:
        state = "SELECT contact_ms, error FROM link"
        assert db.rows(state) == [{"contact_ms": None, "error": None}]
        outbox.failed("unavailable: no route")
        assert db.rows(state) == [{"contact_ms": None, "error": "unavailable: no route"}]
        outbox.heard(5)
        assert db.rows(state) == [{"contact_ms": clock.wall_ms, "error": None}]

    def test_blobs_go_out_oldest_first_and_once(self, outbox: Outbox, db: Database) -> None:
        first, *rest = outbox.outgoing()
        assert str(first.record) == db.rows("SELECT id FROM video ORDER BY rowid")[0]["id"]
        outbox.sent(first.blob_id)
        outbox.sent(first.blob_id)
        assert list(outbox.outgoing()) == rest


def test_an_identity_does_not_change_under_a_history(db: Database, node: Node, sacrifice: UUID) -> None:
    from edge import node as identity

    identity.save(db, msgspec.structs.replace(node, hub_url="https://elsewhere.example"))
    assert identity.load(db) == msgspec.structs.replace(node, hub_url="https://elsewhere.example")
    with pytest.raises(QurbaniError, match="another identity"):
        identity.save(db, msgspec.structs.replace(node, id=new_id()))


def test_keys_are_made_once_and_belong_to_their_owner(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("keys")
    with pytest.raises(QurbaniError, match="missing"):
        Keys.load(Vault(folder))
    made = Keys.make(Vault(folder))
    again = Keys.load(Vault(folder))
    assert (made.sign.public, made.seal.public) == (again.sign.public, again.seal.public)
    assert made.sign.public != keys.sign.public
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_box_says_whether_it_knew_that_the_names_were_fixed(db: Database, capture: Capture) -> None:
    for cursor, frozen in ((10, {}), (11, {"frozen": True})):
        animal = new_id()
        fields = {"site_id": str(new_id()), "tag": f"T{cursor}", "species": "sheep", "pen": "", **frozen}
        capture.apply_feed([Change(cursor, "animal", animal, fields)], cursor)
        capture.open_sacrifice(new_id(), animal, new_id())
        assert patches(db)[-1][2]["frozen"] is bool(frozen)
        assert Site(db).animals(animal)[0].frozen is bool(frozen)
