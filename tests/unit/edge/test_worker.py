"""What the worker does with a job, whatever the check does with the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from edge import jobs
from edge.bus import Bell
from edge.capture import Capture, Copy, Video
from edge.db import Database
from edge.worker import Worker
from shared.clock import ManualClock
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from shared.ids import new_id

Check = Callable[[UUID], Verdict]


@pytest.fixture
def video(capture: Capture, sacrifice: UUID) -> UUID:
    id = new_id()
    capture.keep_video(Video(id, sacrifice, "ab" * 32, 5, "cd" * 32, 300, "video/mp4"), new_id())
    return id


@pytest.fixture
def worker(db: Database, capture: Capture, clock: ManualClock, tmp_path: Path) -> Iterator[Callable[[Check], Worker]]:
    bell = Bell(tmp_path, "worker")
    yield lambda check: Worker(db, capture, check, lambda id: [], bell, clock, new_id)
    bell.close()


def good(id: UUID) -> Verdict:
    return Verdict("authentic", "1")


def bad(id: UUID) -> Verdict:
    raise MemoryError("too much")


def verdicts(db: Database) -> list[str]:
    return [row["outcome"] for row in db.rows("SELECT outcome FROM verdict")]


def job(db: Database) -> tuple[str, int, str | None]:
    row = db.rows("SELECT state, attempts, reason FROM job")[0]
    return row["state"], row["attempts"], row["reason"]


def test_a_look_does_one_job(worker: Callable[[Check], Worker], db: Database, video: UUID) -> None:
    busy = worker(good)
    assert busy.due() == 1
    for _ in range(3):
        busy.look()
    assert busy.due() == 0
    assert verdicts(db) == ["authentic"]
    assert job(db) == ("done", 1, None)


def test_a_check_that_fails_is_tried_again_and_then_given_up(
    worker: Callable[[Check], Worker], db: Database, clock: ManualClock, video: UUID
) -> None:
    busy = worker(bad)
    for attempt in range(1, jobs.MAX_ATTEMPTS):
        busy.look()
        assert busy.due() == 0
        assert job(db) == ("open", attempt, "MemoryError: too much")
        clock.advance(jobs.RETRY_MS * 2**attempt)
    busy.look()
    assert job(db) == ("parked", jobs.MAX_ATTEMPTS, "MemoryError: too much")
    assert verdicts(db) == ["review"]


def test_a_video_that_kills_every_worker_is_given_up_without_another_try(
    worker: Callable[[Check], Worker], db: Database, clock: ManualClock, video: UUID
) -> None:
    for _ in range(jobs.MAX_ATTEMPTS):
        assert db.write(lambda tx: jobs.take(tx, clock.read(), new_id()))
        db.write(jobs.free)
    tried = []
    worker(lambda id: tried.append(id) or good(id)).look()  # type: ignore[func-returns-value]
    assert tried == []
    assert job(db) == ("parked", jobs.MAX_ATTEMPTS + 1, "the worker died at each attempt")
    assert verdicts(db) == ["review"]


def test_a_worker_that_was_away_for_too_long_changes_nothing(
    worker: Callable[[Check], Worker], db: Database, clock: ManualClock, video: UUID
) -> None:
    """Frozen in the middle of its check, while another one took the job and did it."""

    def meanwhile(id: UUID) -> Verdict:
        clock.advance(jobs.LEASE_MS)
        worker(good).look()
        return Verdict("rejected", "1")

    worker(meanwhile).look()
    assert verdicts(db) == ["authentic"]
    assert job(db) == ("done", 2, None)


def test_a_failure_after_the_lease_changes_nothing(
    worker: Callable[[Check], Worker], db: Database, clock: ManualClock, video: UUID
) -> None:
    def meanwhile(id: UUID) -> Verdict:
        clock.advance(jobs.LEASE_MS)
        worker(good).look()
        raise QurbaniError("damaged")

    worker(meanwhile).look()
    assert job(db) == ("done", 2, None)


def test_what_goes_ahead_is_made_after_the_verdict_and_holds_nothing_up(
    db: Database, capture: Capture, clock: ManualClock, video: UUID, tmp_path: Path
) -> None:
    bell, tried = Bell(tmp_path, "worker"), list[UUID]()

    def prove(id: UUID) -> list[Copy]:
        assert verdicts(db) == ["authentic"], "first the verdict"
        tried.append(id)
        if len(tried) == 1:
            raise MemoryError("too much")
        return [Copy("poster", "ef" * 32, 3, "01" * 32, 200)]

    busy = Worker(db, capture, good, prove, bell, clock, new_id)
    busy.look()
    busy.look()
    clock.advance(2 * jobs.RETRY_MS)
    busy.look()
    bell.close()
    assert tried == [video] * 2
    assert db.rows("SELECT blob_id, variant FROM copy") == [{"blob_id": "01" * 32, "variant": "poster"}]
    assert db.rows("SELECT entity FROM op ORDER BY seq DESC LIMIT 1") == [{"entity": "copy"}]
    assert db.rows("SELECT state FROM job ORDER BY id") == [{"state": "done"}] * 2
