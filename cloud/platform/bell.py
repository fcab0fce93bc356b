"""The bell: huey on Redis. Its one task says "look" to whoever works on a queue; a lost one costs a sweep."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog
from huey import RedisHuey
from huey.registry import Message
from huey.serializer import Serializer
from redis import ConnectionPool
from redis.exceptions import RedisError

log = structlog.get_logger()

RETRY_S = 1.0
PATIENCE_S = 5.0
"""With Redis; longer than the second for which a listener waits in one call."""


class JsonSerializer(Serializer):
    """Queue input is data, never code: huey's own serializer is pickle."""

    def _serialize(self, data: Message) -> bytes:
        return msgspec.json.encode(data._asdict())

    def _deserialize(self, data: bytes) -> Message:
        return Message(**msgspec.json.decode(data))


class Bell:
    """Rings from any process, heard in every worker process. Connects at the first ring."""

    def __init__(self, redis_url: str, name: str = "qurbani") -> None:
        pool = ConnectionPool.from_url(redis_url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
        self._huey = RedisHuey(name, connection_pool=pool, results=False, serializer=JsonSerializer())
        self._look = self._huey.task(name="look")(self._heard)
        self._listener: Callable[[str], None] = lambda queue: None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    async def ring(self, queues: Iterable[str]) -> None:
        """Say "look" to the workers of these queues. Without Redis nobody hears it, and the sweep does the work."""
        try:
            await asyncio.to_thread(self._ring, tuple(queues))
        except RedisError as error:
            log.warning("bell.silent", error=repr(error))

    def _ring(self, queues: Iterable[str]) -> None:
        for queue in queues:
            self._look(queue)

    def _heard(self, queue: str) -> None:
        self._listener(queue)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call ``listener(queue)`` at every ring, from a thread of the bell's own, until :meth:`close`."""
        self._listener = listener
        self._thread = threading.Thread(target=self._hear, name="bell", daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        # Huey's own Consumer takes over the process's signals, which are the event loop's.
        while not self._closed.is_set():
            try:
                task: Any = self._huey.dequeue()
                if task is not None:
                    self._huey.execute(task)
            except Exception as error:
                if not self._closed.wait(RETRY_S):
                    log.warning("bell.deaf", error=repr(error))

    def close(self) -> None:
        """Listen no more; returns within a second or so, as the call that waits for a ring cannot be cut short."""
        self._closed.set()
        if self._thread:
            self._thread.join(2 * PATIENCE_S)
        self._huey.storage.close()
