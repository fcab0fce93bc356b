"""How the body of a request gets into an upload: in batches, with bounded memory, until it ends one way or another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

from shared.errors import QurbaniError
from shared.tus.disk import DiskThreads
from shared.tus.leases import Lease
from shared.tus.store import Appender
from shared.tus.wire import CHECKSUMS, Checksum

_BATCH = 1024 * 1024

End = Literal["whole", "upload_cut", "upload_idle", "taken_over"]
"""How a body ended: well, or by the error of that code."""


class Disconnected(Exception):
    """The body ended before it was whole; raised by the body itself."""


class Intake:
    """Takes bodies in. One that is silent for ``idle_s`` has ended; what came is durable every ``flush_s``."""

    def __init__(self, disk: DiskThreads, idle_s: float, flush_s: float) -> None:
        self._disk = disk
        self._idle_s = idle_s
        self._flush_s = flush_s

    async def take(self, lease: Lease, body: AsyncIterator[bytes], appender: Appender, room: int,
                   checksum: Checksum | None) -> End:
        """Write what comes, at most ``room`` bytes; the next batch comes while the last one is being written.

        Raises ``too_large`` or ``checksum_mismatch``. The last bytes are written, not durable, when it returns.
        """
        clock = asyncio.get_running_loop().time
        digest = CHECKSUMS[checksum.algorithm]() if checksum else None
        flushed = clock()
        writing: asyncio.Task[None] | None = None
        end: End | None = None
        try:
            while end is None:
                batch, end = await self._next_batch(lease, body)
                if writing is not None:
                    await writing
                room -= sum(map(len, batch))
                if room < 0:
                    raise QurbaniError("too_large", "the body goes beyond the upload's length")
                # What is under a checksum is not made durable before that has been checked.
                is_due = digest is None and clock() - flushed > self._flush_s
                flushed = clock() if is_due else flushed
                writing = asyncio.create_task(self._disk.run(_write, appender, batch, digest, is_due))
            assert writing is not None
            await writing
        finally:
            if writing is not None and not writing.done():
                await asyncio.wait([writing])
        if end == "whole" and checksum and digest and digest.digest() != checksum.digest:
            raise QurbaniError("checksum_mismatch")
        return end

    async def _next_batch(self, lease: Lease, body: AsyncIterator[bytes]) -> tuple[list[bytes], End | None]:
        """About a megabyte, less where little comes, and whether that was the end."""
        clock = asyncio.get_running_loop().time
        due = clock() + self._flush_s
        batch: list[bytes] = []
        size = 0
        try:
            async with lease.waiting(self._idle_s):
                async for chunk in body:
                    lease.heard()
                    batch.append(chunk)
                    size += len(chunk)
                    if size >= _BATCH or clock() >= due:
                        return batch, None
            return batch, "whole"
        except TimeoutError:
            return batch, "taken_over" if lease.is_wanted else "upload_idle"
        except Disconnected:
            return batch, "upload_cut"


def _write(appender: Appender, batch: Sequence[bytes], digest: Any, is_due: bool) -> None:
    for chunk in batch:
        appender.write(chunk)
        if digest is not None:
            digest.update(chunk)
    if is_due:
        appender.sync()
