"""Advice from somebody's own recordings, for them alone."""

from __future__ import annotations

from uuid import UUID

from edge import jobs
from edge.capture import Capture, Video
from edge.db import Database
from edge.site import LOOKED_BACK, Site
from shared.clock import ManualClock
from shared.domain.verdict import Reason, Verdict
from shared.ids import new_id
from sync.messages import Change
from tests.unit.edge.conftest import EXECUTOR


def judge(db: Database, capture: Capture, clock: ManualClock, sacrifice: UUID, *codes: str) -> None:
    capture.keep_video(Video(new_id(), sacrifice, "ab" * 32, 5, new_id().hex * 2, 300, "video/mp4"), EXECUTOR)
    lease = db.write(lambda tx: jobs.take(tx, clock.read(), new_id()))
    assert lease is not None
    if lease.kind == "prove":
        capture.keep_copies(lease, lease.key, [])
        lease = db.write(lambda tx: jobs.take(tx, clock.read(), new_id()))
        assert lease is not None
    outcome = "review" if codes else "authentic"
    capture.record_verdict(lease, lease.key, Verdict(outcome, "1", reasons=tuple(Reason(code) for code in codes)))


def test_what_went_wrong_repeatedly_is_told_to_whoever_it_happened_to(
    db: Database, capture: Capture, clock: ManualClock, sacrifice: UUID
) -> None:
    site = Site(db)
    for codes in ((), ("name_unclear", "name_unclear"), ("name_unclear", "muted"), ("muted",)):
        judge(db, capture, clock, sacrifice, *codes)
    assert site.advice(EXECUTOR, "en") is None, "twice is chance, and seven names of one cow are one recording"
    judge(db, capture, clock, sacrifice, "name_unclear")
    advice = site.advice(EXECUTOR, "en")
    assert advice is not None
    assert (advice.code, advice.count, advice.all) == ("name_unclear", 3, 5)
    assert "close to the microphone" in advice.hint
    assert "الميكروفون" in (site.advice(EXECUTOR, "ar") or advice).hint
    assert site.advice(new_id(), "en") is None
    for _ in range(LOOKED_BACK):
        judge(db, capture, clock, sacrifice)
    assert site.advice(EXECUTOR, "en") is None, "it is better now"


def test_what_the_hub_says_of_a_recording_is_shown_to_whoever_made_it(
    db: Database, capture: Capture, clock: ManualClock, sacrifice: UUID
) -> None:
    judge(db, capture, clock, sacrifice)
    video = db.rows("SELECT id FROM video")[0]["id"]
    told = {"outcome": "authentic", "feedback": "Every name was clear."}
    capture.apply_feed([Change(50, "film", UUID(video), told)], 50)
    site = Site(db)
    assert [said.feedback for said in site.said_to(EXECUTOR)] == ["Every name was clear."]
    assert site.said_to(new_id()) == []
    assert site.sacrifice(sacrifice, "en").videos[0].feedback == "Every name was clear."
    capture.apply_feed([Change(51, "film", UUID(video), {"outcome": "authentic"})], 51)
    assert site.said_to(EXECUTOR) == []
