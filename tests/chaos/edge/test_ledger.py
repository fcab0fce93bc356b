"""The worker is killed at random points: every job has its effect exactly once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge import node as identity
from edge.capture import Capture, Video
from edge.db import Database
from edge.node import Keys, Node
from edge.vault import Vault
from shared.clock import SystemClock
from shared.crypto import SigningKey, UnsealKey
from shared.ids import new_id
from sync.messages import Change
from tests.box import until

ROOT = Path(__file__).parents[3]
JOBS = 25

WORKER = """
import sys, time
from pathlib import Path
from edge import jobs, worker
from edge.bus import JOB, Bell, Ear
from edge.capture import Capture
from edge.db import Database
from edge.node import Keys
from edge.queue import Queue
from edge.vault import Vault
from edge.worker import Worker
from shared.clock import SystemClock
from shared.domain.verdict import Verdict
from shared.ids import new_id

folder, seconds, careless = Path(sys.argv[1]), float(sys.argv[2]), "careless" in sys.argv
db, clock = Database(folder / "edge.db"), SystemClock()

class Careless(Capture):
    "Ends the job when it is taken, as a queue without acknowledgement does."
    def record_verdict(self, lease, video_id, verdict):
        self._db.write(lambda tx: tx.execute("UPDATE job SET state = 'open' WHERE id = ?", [lease.job]))
        super().record_verdict(lease, video_id, verdict)

capture = (Careless if careless else Capture)(db, Keys.load(Vault(folder)).ring, clock, new_id)

def check(video_id):
    if careless:
        db.write(lambda tx: tx.execute("UPDATE job SET state = 'done' WHERE key = ?", [str(video_id)]))
    time.sleep(seconds)
    return Verdict("authentic", "1")

db.write(jobs.free)
busy = Worker(db, capture, check, lambda id: [], Bell(folder, "worker"), clock, new_id)
print("ready", flush=True)
worker.run(busy, Queue(folder / "queue.db", busy.look), Ear(folder, [JOB]))
"""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A box with a video to check for each of ``JOBS`` animals."""
    database, keys, clock = Database(tmp_path / "edge.db"), Keys.make(Vault(tmp_path)), SystemClock()
    hub = SigningKey.generate().public.raw, UnsealKey.generate().public.raw
    identity.save(database, Node(new_id(), new_id(), "box 1", "http://hub.example", *hub))
    capture = Capture(database, keys.ring, clock, new_id)
    for number in range(1, JOBS + 1):
        animal, sacrifice, blob = new_id(), new_id(), new_id().hex * 2
        capture.apply_feed([Change(number, "animal", animal, {"tag": str(number), "species": "sheep"})], number)
        capture.open_sacrifice(sacrifice, animal, new_id())
        capture.keep_video(Video(new_id(), sacrifice, "ab" * 32, 5, blob, 300, "video/mp4"), new_id())
    yield database
    database.close()


@contextmanager
def working(folder: Path, *arguments: str, check_s: float = 0.02) -> Iterator[None]:
    """A worker whose checks take so long; kill -9 at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(check_s), *arguments], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


def finish(db: Database) -> None:
    """Return once nothing is due."""
    until(lambda: not db.rows("SELECT 1 FROM job WHERE state = 'open' LIMIT 1"), 60)


def effects(db: Database) -> list[int]:
    """How many verdict ops each video has."""
    rows = db.rows("""
        SELECT count(op.seq) AS verdicts FROM video LEFT JOIN verdict ON verdict.video_id = video.id
        LEFT JOIN op ON op.entity = 'verdict' AND op.key = verdict.id GROUP BY video.id""")
    return [row["verdicts"] for row in rows]


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_every_job_has_its_effect_exactly_once(tmp_path: Path, db: Database, kills: int) -> None:
    chance = random.Random(7)
    for _ in range(kills):
        with working(tmp_path):
            time.sleep(chance.uniform(0.03, 0.15))
    with working(tmp_path):
        finish(db)
    assert effects(db) == [1] * JOBS
    assert db.rows("SELECT count(*) AS verdicts FROM op WHERE entity = 'verdict'") == [{"verdicts": JOBS}]
    ended = db.rows("SELECT kind, state, count(*) AS jobs FROM job GROUP BY kind, state ORDER BY kind")
    assert ended == [{"kind": kind, "state": "done", "jobs": JOBS} for kind in ("prove", "validate")]


def test_this_would_catch_a_worker_that_ends_jobs_before_it_has_done_them(tmp_path: Path, db: Database) -> None:
    with working(tmp_path, "careless", check_s=30):
        until(lambda: db.rows("SELECT 1 FROM job WHERE state = 'done'"))
    with working(tmp_path, "careless", check_s=0):
        finish(db)
    assert effects(db).count(0) == 1
