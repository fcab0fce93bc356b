"""Takes jobs from the ledger and does them: checks each video, then makes what goes ahead of it over a slow line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import structlog

from edge import jobs
from edge.bus import OP, Bell, Ear
from edge.capture import PROVE, Capture
from edge.db import Database
from edge.jobs import Lease
from edge.proofs import Prove
from edge.queue import Queue
from shared.clock import Clock
from shared.domain.verdict import Reason, Verdict
from shared.errors import QurbaniError
from shared.evidence.judge import RULES
from shared.ids import NewId

SWEEP_S = 5.0
"""How long a job waits whose bell was lost."""

Check = Callable[[UUID], Verdict]
"""Looks at the video with this id. May raise anything: what it meets comes from outside."""

_log = structlog.get_logger(__name__)


class Worker:
    """Does what is due, one job at a time."""

    def __init__(
        self, db: Database, capture: Capture, check: Check, prove: Prove, bell: Bell, clock: Clock, new_id: NewId
    ) -> None:
        self._db = db
        self._capture = capture
        self._check = check
        self._prove = prove
        self._bell = bell
        self._clock = clock
        self._new_id = new_id

    def look(self) -> None:
        """Take the oldest job that is due, if there is one, and do it."""
        now, token = self._clock.read(), self._new_id()
        lease = self._db.write(lambda tx: jobs.take(tx, now, token))
        if lease is None:
            return
        try:
            self._do(lease)
        except QurbaniError as error:
            if error.code != "lost_lease":
                raise
            _log.warning("lease_lost", job=lease.job, attempt=lease.attempt)
        else:
            self._bell.ring(OP)

    def due(self) -> int:
        now = self._clock.read()
        return self._db.read(lambda tx: jobs.due(tx, now))

    def _do(self, lease: Lease) -> None:
        if lease.attempt > jobs.MAX_ATTEMPTS:
            # Nobody was left to say why: every attempt so far ended with the process.
            self._give_up(lease, "the worker died at each attempt")
            return
        try:
            keep = self._kept(lease)
        except Exception as error:  # the outermost loop of the worker: one bad video must not end it
            self._failed(lease, error)
        else:
            keep()

    def _kept(self, lease: Lease) -> Callable[[], None]:
        """Do the work; what writes down what came of it."""
        if lease.kind == PROVE:
            return partial(self._capture.keep_copies, lease, lease.key, self._prove(lease.key))
        return partial(self._capture.record_verdict, lease, lease.key, self._check(lease.key))

    def _failed(self, lease: Lease, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        _log.error("job_failed", job=lease.job, attempt=lease.attempt, exc_info=error)
        if lease.attempt == jobs.MAX_ATTEMPTS:
            self._give_up(lease, reason)
        else:
            now = self._clock.read()
            self._db.write(lambda tx: jobs.retry(tx, lease, now, reason))

    def _give_up(self, lease: Lease, reason: str) -> None:
        if lease.kind == PROVE:  # the video itself still goes
            self._db.write(lambda tx: jobs.end(tx, lease, "parked", reason))
            return
        verdict = Verdict("review", RULES, reasons=(Reason("decoder_crashed"),))
        self._capture.record_unchecked(lease, lease.key, verdict, reason)


class Workers:
    """Several workers as one: what the first has to do comes before what the others have."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers

    def look(self) -> None:
        busy = next((worker for worker in self._workers if worker.due()), None)
        if busy is not None:
            busy.look()

    def due(self) -> int:
        return sum(worker.due() for worker in self._workers)


def run(worker: Workers, queue: Queue, ear: Ear) -> None:
    """Ring the queue for what is due, at each bell and now and then; until SIGTERM."""

    def sweep() -> None:
        while True:
            queue.ring(worker.due())
            ear.wait(SWEEP_S)

    threading.Thread(target=sweep, name="sweeper", daemon=True).start()
    queue.run()
