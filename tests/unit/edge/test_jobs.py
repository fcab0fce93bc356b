from __future__ import annotations

from uuid import UUID

import pytest

from edge import jobs
from edge.db import Database
from edge.jobs import Lease
from shared.clock import ManualClock
from shared.errors import QurbaniError
from shared.ids import new_id

KEY = new_id()


@pytest.fixture
def job(db: Database) -> UUID:
    db.write(lambda tx: jobs.add(tx, "validate", KEY))
    return KEY


def take(db: Database, clock: ManualClock) -> Lease | None:
    return db.write(lambda tx: jobs.take(tx, clock.read(), new_id()))


def due(db: Database, clock: ManualClock) -> int:
    return db.read(lambda tx: jobs.due(tx, clock.read()))


def must_take(db: Database, clock: ManualClock) -> Lease:
    lease = take(db, clock)
    assert lease is not None
    return lease


def test_a_job_is_added_once(db: Database, clock: ManualClock, job: UUID) -> None:
    db.write(lambda tx: jobs.add(tx, "validate", job))
    assert due(db, clock) == 1


def test_a_taken_job_is_not_taken_again_before_its_lease_ends(db: Database, clock: ManualClock, job: UUID) -> None:
    lease = must_take(db, clock)
    assert (lease.kind, lease.key, lease.attempt) == ("validate", job, 1)
    clock.advance(jobs.LEASE_MS - 1)
    assert take(db, clock) is None
    clock.advance(1)
    assert must_take(db, clock).attempt == 2


def test_the_wall_clock_has_no_say(db: Database, clock: ManualClock, job: UUID) -> None:
    must_take(db, clock)
    clock.wall_ms += 365 * 86_400_000
    assert take(db, clock) is None
    clock.wall_ms = 0
    clock.mono_ms += jobs.LEASE_MS
    assert take(db, clock) is not None


def test_a_lease_ends_with_the_boot(db: Database, clock: ManualClock, job: UUID) -> None:
    must_take(db, clock)
    clock.boot = "boot-1"
    assert due(db, clock) == 1
    assert must_take(db, clock).attempt == 2


def test_whoever_comes_back_too_late_changes_nothing(db: Database, clock: ManualClock, job: UUID) -> None:
    late = must_take(db, clock)
    clock.advance(jobs.LEASE_MS)
    must_take(db, clock)
    for late_word in (
        lambda tx: jobs.end(tx, late, "done"),
        lambda tx: jobs.retry(tx, late, clock.read(), "late"),
    ):
        with pytest.raises(QurbaniError, match="lost_lease"):
            db.write(late_word)
    assert db.rows("SELECT state, reason FROM job") == [{"state": "open", "reason": None}]


def test_a_job_ends_once(db: Database, clock: ManualClock, job: UUID) -> None:
    lease = must_take(db, clock)
    db.write(lambda tx: jobs.end(tx, lease, "parked", "poison"))
    with pytest.raises(QurbaniError, match="lost_lease"):
        db.write(lambda tx: jobs.end(tx, lease, "done"))
    clock.advance(10 * jobs.LEASE_MS)
    assert take(db, clock) is None
    assert db.rows("SELECT state, reason FROM job") == [{"state": "parked", "reason": "poison"}]


def test_each_retry_waits_twice_as_long(db: Database, clock: ManualClock, job: UUID) -> None:
    for attempt in range(1, jobs.MAX_ATTEMPTS):
        lease = must_take(db, clock)
        assert lease.attempt == attempt
        db.write(lambda tx, lease=lease: jobs.retry(tx, lease, clock.read(), "no memory"))
        clock.advance(jobs.RETRY_MS * 2 ** (attempt - 1) - 1)
        assert due(db, clock) == 0
        clock.advance(1)


def test_a_new_worker_frees_the_leases_of_the_old_one(db: Database, clock: ManualClock, job: UUID) -> None:
    old = must_take(db, clock)
    db.write(jobs.free)
    assert must_take(db, clock).attempt == 2
    with pytest.raises(QurbaniError, match="lost_lease"):
        db.write(lambda tx: jobs.end(tx, old, "done"))


def test_the_oldest_job_comes_first(db: Database, clock: ManualClock, job: UUID) -> None:
    db.write(lambda tx: jobs.add(tx, "validate", new_id()))
    assert must_take(db, clock).key == job
