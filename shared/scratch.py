"""Room on disk for work in progress whose bytes mean nothing to whoever finds them.

Half-made copies of a video are as private as the video. A :class:`Scratch` is an ordinary seekable file to
whoever holds it; on disk it is AES-256-XTS (IEEE 1619) under a key that only this process ever had, in a
file that has no name, so nothing readable outlives the process, however it ends.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import XTS

from shared.seekable import Seekable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

SECTOR = 64 * 1024


class Scratch(Seekable):
    """A seekable file, read and written, gone when closed. Holds one sector in memory, the rest in ``folder``."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close()
        self._key = os.urandom(64)
        self._sector = 0
        self._held = bytearray(SECTOR)
        self._dirty = False

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        start = self._hold(self._position)
        count = max(min(len(view), SECTOR - start, self._size - self._position), 0)
        view[:count] = self._held[start : start + count]
        self._position += count
        return count

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            start = self._hold(self._position)
            count = min(len(view) - done, SECTOR - start)
            self._held[start : start + count] = view[done : done + count]
            self._dirty = True
            self._position += count
            self._size = max(self._size, self._position)
            done += count
        return done

    def close(self) -> None:
        self._file.close()
        super().close()

    def _hold(self, position: int) -> int:
        """Bring the sector of ``position`` into memory; returns the place of ``position`` inside it."""
        sector, start = divmod(position, SECTOR)
        if sector != self._sector:
            self._put_back()
            self._sector = sector
            sealed = os.pread(self._file.fileno(), SECTOR, sector * SECTOR)
            # A sector that was skipped over reads as zeros, as in any file with a hole.
            self._held[:] = self._cipher().decryptor().update(sealed) if any(sealed) else bytes(SECTOR)
        return start

    def _put_back(self) -> None:
        if self._dirty:
            os.pwrite(self._file.fileno(), self._cipher().encryptor().update(self._held), self._sector * SECTOR)
            self._dirty = False

    def _cipher(self) -> Cipher[XTS]:
        return Cipher(AES(self._key), XTS(self._sector.to_bytes(16, "little")))
