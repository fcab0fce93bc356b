"""What a box signs of each capture: numbered when it is kept, signed when it is checked."""

from __future__ import annotations

import hashlib
import io
from uuid import UUID

import pytest

from edge import jobs
from edge.capture import VALIDATE, Capture, Video
from edge.db import Database
from edge.manifests import ANSWER_MS
from edge.node import Keys, Node
from edge.outbox import Outbox
from shared.clock import ManualClock
from shared.domain.verdict import Reason, Verdict
from shared.evidence.manifest import FIRST, Signed, Signer, read, verify, verify_chains
from shared.ids import new_id

UNSURE = Verdict("review", "1", reasons=(Reason("no_sound"),))


@pytest.fixture
def kept(capture: Capture, sacrifice: UUID) -> list[bytes]:
    """Three videos that wait for their check."""
    contents = [f"video {at}".encode() for at in range(3)]
    for content in contents:
        sealed = new_id().hex * 2
        sha256 = hashlib.sha256(content).hexdigest()
        capture.keep_video(Video(new_id(), sacrifice, sha256, len(content), sealed, 300, "video/mp4"), new_id())
    return contents


def judge_all(db: Database, capture: Capture, clock: ManualClock) -> None:
    while lease := db.write(lambda tx: jobs.take(tx, clock.read(), new_id())):
        if lease.kind == VALIDATE:
            capture.record_verdict(lease, lease.key, UNSURE)


def signed(db: Database) -> list[Signed]:
    rows = db.rows("SELECT text FROM manifest WHERE text IS NOT NULL ORDER BY number")
    return [read(row["text"].encode()) for row in rows]


def test_every_capture_has_its_place(
    db: Database, capture: Capture, clock: ManualClock, keys: Keys, node: Node, kept: list[bytes]
) -> None:
    judge_all(db, capture, clock)
    found = signed(db)
    signers = {node.id: Signer((keys.sign.public.raw.hex(),), last=3)}
    for number, (each, content) in enumerate(zip(found, kept, strict=True), 1):
        assert each.manifest.origin.number == number  # type: ignore[union-attr]
        assert verify(each, str(number), io.BytesIO(content), signers) == []
    assert found[0].manifest.origin.previous == FIRST  # type: ignore[union-attr]
    assert verify_chains([each.manifest for each in found], signers) == []
    assert found[0].manifest.judged.reasons == ("no_sound",)  # type: ignore[union-attr]


def test_a_capture_that_goes_before_its_check_is_missed_too(
    db: Database, capture: Capture, clock: ManualClock, kept: list[bytes]
) -> None:
    db.write(lambda tx: tx.execute(
        "DELETE FROM job WHERE key = (SELECT video_id FROM manifest WHERE number = 2)"))
    judge_all(db, capture, clock)
    assert [each.code for each in verify_chains([each.manifest for each in signed(db)])] == ["missing"]


def test_how_far_the_clock_may_be_off(
    db: Database, capture: Capture, clock: ManualClock, keys: Keys, sacrifice: UUID
) -> None:
    outbox = Outbox(db, keys, capture, clock)

    def uncertain() -> int | None:
        video = Video(new_id(), sacrifice, "ab" * 32, 5, new_id().hex * 2, 300, "video/mp4")
        capture.keep_video(video, new_id())
        judge_all(db, capture, clock)
        return signed(db)[-1].manifest.origin.captured.uncertain_ms  # type: ignore[union-attr]

    assert uncertain() is None  # it has never been compared
    outbox.heard(clock.wall_ms + 7_000)
    clock.advance(100_000)
    assert uncertain() == 7_000 + ANSWER_MS + 10
    clock.wall_ms += 86_400_000  # somebody sets it wrong by a day
    assert uncertain() == 86_400_000 - 7_000 + ANSWER_MS + 10
    clock.boot = "boot-1"
    assert uncertain() is None


def test_a_video_from_before_there_were_numbers(
    db: Database, capture: Capture, clock: ManualClock, kept: list[bytes]
) -> None:
    db.write(lambda tx: tx.execute("DELETE FROM manifest"))
    judge_all(db, capture, clock)
    assert verify_chains([each.manifest for each in signed(db)]) == []
    assert len(signed(db)) == 3
