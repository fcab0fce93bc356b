"""The site's line to the hub, and what may go over it now."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from edge.node import its_zone
from edge.outbox import Outbox
from edge.settings import Settings
from shared.errors import QurbaniError
from sync.calls import Call
from sync.messages import BLOBS
from sync.ports import Outgoing
from sync.schedule import Bucket, Line, windows

BURST_S = 1.0
"""A capped line may be used up for so long at once."""


def of(settings: Settings) -> Line:
    """The line as it is set. Raises ``misconfigured``."""
    try:
        return Line(settings.sync_cap_kbit_s * 1000 / 8, windows(settings.sync_windows), settings.sync_metered)
    except QurbaniError as error:
        raise QurbaniError("misconfigured", f"QURBANI_SYNC_WINDOWS: {error.detail}") from error


class LineOutbox(Outbox):
    """The box's end of the protocol, without the blobs that may not go now."""

    def __init__(self, *arguments: Any, line: Line) -> None:
        super().__init__(*arguments)
        self._line = line

    def outgoing(self) -> Sequence[Outgoing]:
        minute = self._minute()
        return [blob for blob in super().outgoing() if self._line.allows(blob, minute)]

    def _minute(self) -> int:
        """Of the day at the site; of UTC as long as the site is not known."""
        now = datetime.fromtimestamp(self._clock.read().wall_ms / 1000, self._db.read(its_zone))
        return now.hour * 60 + now.minute


class Cap:
    """Keeps the blobs' bytes under the cap of a line, by waiting before a piece goes."""

    def __init__(self, line: Line, *, now: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._now, self._sleep = now, sleep
        self._bucket = Bucket(line.bytes_s, line.bytes_s * BURST_S, now()) if line.bytes_s else None

    def before(self, call: Call) -> None:
        if self._bucket and call.body and call.path.startswith(BLOBS):
            self._sleep(self._bucket.take(len(call.body), self._now()))

