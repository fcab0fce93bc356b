"""Who hands in a backlog when: five hundred boxes that come back in one minute must not stop those that are live.

A token bucket of ops. What a live box sends is small and passes. A backlog takes its tokens; where they are not there
yet, the box is sent away until they are, and they stay booked for it: so each gets a moment of its own, in the order in
which they came, nobody is sent away twice, and a box with many batches queues anew for each. What boxes add at random
to the wait (:mod:`sync.backoff`) only spreads them further.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AbstractAsyncContextManager, nullcontext
from uuid import UUID

from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.plugins import InitPlugin

from cloud.platform.core import Platform
from shared.clock import Clock
from shared.errors import QurbaniError
from sync.ops import MAX_BATCH_OPS
from sync.schedule import Bucket

LIVE_BYTES = 4096
"""A body of no more than this is what happened just now."""
OP_BYTES = 24
"""Of a packed op, about: what a backlog holds is known only when it has been read."""
PATIENCE_S = 1.0
"""A shorter wait is waited out here; it costs less than coming back."""
BURST_S = 4.0
FORGET_S = 600.0


class Admission:
    """The door of one process, for ``ops_s`` ops of backlogs a second."""

    def __init__(self, ops_s: float, clock: Clock) -> None:
        self._clock = clock
        self._bucket = Bucket(ops_s, ops_s * BURST_S, self._now())
        self._booked: dict[UUID, float] = {}
        self._applying = asyncio.Lock()

    async def enter(self, node: UUID, size: int) -> None:
        """Return when ``node`` may hand in ``size`` bytes. Raises ``too_many_requests`` with when to come back."""
        if (wait := self.book(node, size)) > PATIENCE_S:
            raise QurbaniError(
                "too_many_requests", "many boxes are handing in at once", retry_after=math.ceil(wait))
        await asyncio.sleep(wait)

    def turn(self, size: int) -> AbstractAsyncContextManager[None]:
        """Held while a body is applied: one backlog at a time, so that those that are live find the process free."""
        return nullcontext() if size <= LIVE_BYTES else self._applying

    def book(self, node: UUID, size: int) -> float:
        """In how many seconds it is this box's turn; one that is over :data:`PATIENCE_S` it has to come back for."""
        if size <= LIVE_BYTES:
            return 0.0
        now = self._now()
        due = self._booked.pop(node, None)
        if due is None:
            due = now + self._bucket.take(min(size / OP_BYTES, MAX_BATCH_OPS), now)
        if due - now > PATIENCE_S:
            self._forget(now)
            self._booked[node] = due
        return max(0.0, due - now)

    def _forget(self, now: float) -> None:
        """Those that never came back."""
        for node in [node for node, due in self._booked.items() if due < now - FORGET_S]:
            del self._booked[node]

    def _now(self) -> float:
        return self._clock.read().mono_ms / 1000


class Door(InitPlugin):
    """Gives the routes their ``admission``."""

    def __init__(self, platform: Platform) -> None:
        self._admission = Admission(platform.settings.sync_ops_s, platform.clock)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.dependencies["admission"] = Provide(lambda: self._admission, sync_to_thread=False)
        return app_config
