"""A blob that lies elsewhere as a file: whoever reads it fetches the parts that are read, and no others."""

from __future__ import annotations

from collections.abc import Callable

from shared.seekable import Seekable

AHEAD = 64 * 1024
"""So much is fetched at least: the header of a sealed blob, which is read in small pieces, costs one request."""

Fetch = Callable[[int, int], bytes]


class RemoteFile(Seekable):
    """``size`` bytes, of which ``fetch(start, stop)`` gets some; the ``first`` have come with the answer on opening."""

    def __init__(self, size: int, fetch: Fetch, first: bytes) -> None:
        super().__init__(size)
        self._fetch = fetch
        self._start, self._held = 0, first

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; less only where the blob ends."""
        view = memoryview(buffer).cast("B")
        start = self._position
        stop = min(start + len(view), self._size)
        if start >= stop:
            return 0
        if not self._start <= start <= stop <= self._start + len(self._held):
            self._held = self._fetch(start, min(max(stop, start + AHEAD), self._size))
            self._start = start
        offset = start - self._start
        view[: stop - start] = self._held[offset : offset + stop - start]
        self._position = stop
        return stop - start
