"""What every backend offers. Blocking: call it from a thread."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class Store(Protocol):
    """Blobs by ``blob_id``, the hex SHA-256 of their bytes. A blob is whole or not there, and never changes.

    All methods raise ``bad_input`` for a name that is no hash, and ``unavailable`` where the backend does not answer.
    """

    def part(self, name: str) -> Path:
        """Where to write a file that :meth:`put` is to take over; always on a disk of the hub's."""
        ...

    def put(self, blob_id: str, part: Path) -> None:
        """Take over the finished file ``part``; durable when this returns.

        Putting a blob that is there already changes nothing; ``part`` is gone either way. Raises ``damaged`` for a file
        that is not what its name says; then nothing is stored, and ``part`` stays.
        """
        ...

    def has(self, blob_id: str) -> bool: ...

    def open(self, blob_id: str) -> BinaryIO:
        """The blob as a seekable file, for one thread at a time. Raises ``not_found``."""
        ...

    def delete(self, blob_id: str) -> None:
        """Deleting what is not there changes nothing."""
        ...

    def check(self) -> None:
        """Return if blobs could be read now, at the price of one small request."""
        ...
