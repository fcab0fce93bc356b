"""What every backend offers. Blocking: call it from a thread."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class Store(Protocol):
    """Blobs by ``blob_id``, the hex SHA-256 of their bytes. A blob is whole or not there, and never changes."""

    def part(self, name: str) -> Path:
        """Where to write a file that :meth:`put` is to take over."""
        ...

    def put(self, blob_id: str, part: Path) -> None:
        """Take over the finished file ``part``, whose hash the caller has checked; durable when this returns.

        Putting a blob that is there already changes nothing; ``part`` is gone either way.
        """
        ...

    def has(self, blob_id: str) -> bool: ...

    def open(self, blob_id: str) -> BinaryIO:
        """The blob as a seekable file. Raises ``not_found``."""
        ...

    def range(self, blob_id: str, start: int, stop: int) -> bytes:
        """The bytes from ``start`` up to, without, ``stop``; fewer only where the blob ends. Raises ``not_found``."""
        ...

    def delete(self, blob_id: str) -> None:
        """Deleting what is not there changes nothing."""
        ...
