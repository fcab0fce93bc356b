"""Huey, which runs what is due. It is a bell, never the ledger (see ``edge/jobs.py``): a task says only "look".

Its file is its own, so that its polling never holds the lock that a tablet waits for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from huey import SqliteHuey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer


class JsonSerializer(Serializer):
    """Tasks as JSON: a file in the queue's folder must not be able to run code, as a pickle could."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(data))


class Queue:
    """Calls ``look`` in a thread of its own, once for each ring, and tolerates rings too many and too few."""

    def __init__(self, path: Path, look: Callable[[], None]) -> None:
        self._huey = SqliteHuey(filename=str(path), serializer=JsonSerializer(), results=False)
        self._look = self._huey.task(name="look")(look)

    def ring(self, wanted: int) -> None:
        """See to it that ``look`` will be called at least ``wanted`` times."""
        for _ in range(wanted - self._huey.pending_count()):
            self._look()

    def run(self) -> None:
        """Until SIGTERM, which does not wait for a look that is under way: its lease brings it back."""
        Consumer(self._huey, workers=1, periodic=False, initial_delay=0.05, max_delay=0.2).run()
