"""The worker: runs the jobs of the ledger, a few at a time for each queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog

from cloud.platform import jobs
from cloud.platform.core import Platform
from cloud.platform.forever import forever, heard
from shared import trace
from shared.errors import QurbaniError

log = structlog.get_logger()

NIGHT_H = 2
"""When nightly jobs are due, UTC."""
NOTE_S = 3600.0


class Worker:
    """All queues of one process."""

    def __init__(self, kinds: Iterable[jobs.Job], platform: Platform) -> None:
        self._kinds = {kind.queue: kind for kind in kinds}
        self._rung = {queue: asyncio.Event() for queue in self._kinds}
        self._platform = platform
        self._lease = timedelta(seconds=platform.settings.lease_s)

    async def run(self) -> None:
        """Work until cancelled; what is in hand then is taken up by another worker when its lease ends."""
        loop = asyncio.get_running_loop()
        self._platform.bell.listen(lambda queue: loop.call_soon_threadsafe(self._look, queue))
        async with asyncio.TaskGroup() as slots:
            for kind in self._kinds.values():
                for _ in range(kind.slots):
                    slots.create_task(forever(kind.queue, lambda kind=kind: self._work(kind)))
            slots.create_task(forever("nights", self._note_nights))

    def _look(self, queue: str) -> None:
        if queue in self._rung:
            self._rung[queue].set()

    async def _work(self, kind: jobs.Job) -> None:
        """One slot: claim and run while there is something due, then wait for the bell or the sweep."""
        while True:
            while held := await self._claim(kind.queue):
                with trace.under(held.payload.get(jobs.TRACE, "")):
                    await self.run_one(kind, held)
            await heard(self._rung[kind.queue], self._platform.settings.sweep_s)

    async def _note_nights(self) -> None:
        """Keep the job of the coming night noted, whoever else does as well."""
        while True:
            now = self._platform.clock.now()
            tonight = (now + timedelta(hours=24 - NIGHT_H)).replace(hour=NIGHT_H, minute=0, second=0, microsecond=0)
            async with self._platform.database.begin() as session:
                for queue in (kind.queue for kind in self._kinds.values() if kind.nightly):
                    await jobs.enqueue(session, queue, tonight.date().isoformat(), {}, tonight)
            await asyncio.sleep(NOTE_S)

    async def _claim(self, queue: str) -> jobs.Claim | None:
        return await jobs.claim(self._platform.database, queue, self._platform.clock.now(), self._lease)

    async def run_one(self, kind: jobs.Job, held: jobs.Claim) -> None:
        """Run a claimed job, renewing its lease meanwhile; a failure is noted in the ledger."""
        running = asyncio.ensure_future(kind.run(jobs.Context(self._platform, held), held.payload))
        renewing = asyncio.ensure_future(self._renew(held))
        try:
            await asyncio.wait((running, renewing), return_when=asyncio.FIRST_COMPLETED)
            # Where the renewal ended first, the lease is lost and whatever the job still does is refused.
            running.cancel()
            await running
            log.info("job.done", queue=held.queue, key=held.key, attempt=held.attempt)
        except asyncio.CancelledError:
            if not renewing.done():
                raise
            log.warning("job.lost", queue=held.queue, key=held.key, error=repr(renewing.exception()))
        except Exception as error:
            log.warning("job.failed", queue=held.queue, key=held.key, attempt=held.attempt, error=repr(error))
            await self._fail(held, error)
        finally:
            running.cancel()
            renewing.cancel()

    async def _renew(self, held: jobs.Claim) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                await jobs.renew(self._platform.database, held, self._platform.clock.now() + self._lease)
            except QurbaniError as error:
                if error.code != "unavailable":
                    raise

    async def _fail(self, held: jobs.Claim, error: Exception) -> None:
        try:
            await jobs.fail(self._platform.database, held, error, self._platform.clock.now())
        except QurbaniError as lost:
            # Its lease will end, and then it is found again.
            log.warning("job.unnoted", queue=held.queue, key=held.key, error=repr(lost))
