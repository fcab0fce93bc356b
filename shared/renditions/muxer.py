"""The container of a copy."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import av


def muxer(target: BinaryIO) -> Any:
    """An MP4 written to ``target``, which is read back at the end to bring the index to the front."""
    return av.open(target, "w", format="mp4", options={"movflags": "faststart"},
                   io_open=lambda url, flags, options: _SecondHandle(target))


class _SecondHandle(io.RawIOBase):
    """Reads ``file`` at a place of its own and leaves the file's place as it was."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("only the muxer reads here, and it knows where it is")
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        before = self._file.tell()
        self._file.seek(self._position)
        data = self._file.read(size)
        self._file.seek(before)
        self._position += len(data)
        return data
