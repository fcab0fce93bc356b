"""What every file of our own making that can be read from anywhere has in common."""

from __future__ import annotations

import io


class Seekable(io.RawIOBase):
    """A file with a place and a size; what lies there is for whoever inherits this to say."""

    def __init__(self, size: int = 0) -> None:
        super().__init__()
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position
