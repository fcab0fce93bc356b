"""What the server asks of whoever keeps the uploads: a small required core, and abilities on top of it.

The server announces an extension when the store has the ability for it. All of it blocks; the server calls it
in threads, never twice at a time for one upload.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from shared.sealed import Blob, Bytes


class Upload(msgspec.Struct, frozen=True):
    """One upload, as it is saved. ``length`` is in bytes, None as long as it is deferred.

    ``concat`` is its ``Upload-Concat``. ``blob`` is set once all bytes are there; ``is_finished`` once whoever
    wanted them has taken them.
    """

    id: str
    owner: str
    metadata: dict[str, str]
    length: int | None
    expires: datetime
    concat: str = ""
    blob: Blob | None = None
    is_finished: bool = False


class Appender(Protocol):
    """The growing bytes of one upload. ``size`` is durable when it was opened, then counts what was written.

    After an error the only thing left to call is ``discard``.
    """

    @property
    def size(self) -> int: ...

    def write(self, data: Bytes) -> None: ...

    def sync(self) -> None:
        """Return when everything written so far is durable."""
        ...

    def finish(self) -> Blob:
        """Nothing more will come; returns when the whole is durable. Only ``close`` may follow."""
        ...

    def discard(self) -> None:
        """Forget what was written since the last ``sync``, and close."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    """The required core."""

    def load(self, id: str) -> Upload | None: ...

    def save(self, upload: Upload) -> None:
        """Durable when it returns; replaces what was saved under the same id."""
        ...

    def open(self, id: str) -> Appender:
        """Go on with the bytes of an upload. Raises ``locked`` while another process does."""
        ...

    def path(self, id: str) -> Path:
        """Where the bytes lie once they are whole."""
        ...

    def clear(self, id: str) -> None:
        """Throw its bytes away; the upload stays."""
        ...


@runtime_checkable
class Deleting(Protocol):
    """For termination and expiration."""

    def delete(self, id: str) -> None: ...

    def uploads(self) -> Iterable[Upload]: ...


@runtime_checkable
class Reading(Protocol):
    """For concatenation."""

    def read(self, id: str) -> Iterator[Bytes]:
        """The bytes of a whole upload, as they came; each piece is to be used up before the next."""
        ...
