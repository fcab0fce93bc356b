"""A sealed blob that grows on a disk: nothing of its plaintext is ever there, and nothing acknowledged is lost.

Two files. ``NAME`` holds the blob, header and whole segments only. ``NAME.tail`` holds, as sealed records
(:mod:`shared.sealed`), the bytes of the segment that is not full yet. :meth:`SealedFile.sync` flushes the blob
first and only then starts the tail anew for a later segment, so at every moment what was durable is in one of
the two. The tail grows by a record per sync and is not rewritten, so that many small syncs stay cheap.

After a crash the blob is read from its start, segment by segment, as long as each proves true: that is also
how the hashes are found again. So a torn write, or one that never reached the disk, simply was not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shared.crypto import SealKey, UnsealKey
from shared.errors import QurbaniError
from shared.files import AppendFile
from shared.sealed import SEGMENT_SIZE, Blob, Bytes, Sealer


class SealedFile:
    """Seals what is written to it into ``path``; goes on where an earlier one stopped.

    ``key`` must belong to one of the ``recipients``. Opening makes durable what it finds, and raises ``locked``
    while another process writes. After an ``OSError`` the only thing left to call is :meth:`discard`.
    """

    def __init__(self, path: Path, recipients: Sequence[SealKey], key: UnsealKey, *,
                 segment_size: int = SEGMENT_SIZE) -> None:
        assert key.public in recipients, "what this box seals it must be able to read again"
        self._blob = AppendFile(path)
        try:
            self._tail = AppendFile(path.with_name(path.name + ".tail"))
        except BaseException:
            self._blob.close()
            raise
        try:
            self._sealer = self._resume(key) or self._begin(recipients, segment_size)
        except BaseException:  # a disk that fails: whoever asks again must not find it locked
            self.close()
            raise
        self._tail_of, self._tailed = self._sealer.index, self._sealer.pending

    @property
    def size(self) -> int:
        """Bytes of plaintext taken so far, durable or not."""
        return self._sealer.size

    def write(self, data: Bytes) -> None:
        self._sealer.write(data)

    def sync(self) -> None:
        """Return when everything written so far is on the disk."""
        self._blob.sync()
        if self._tail_of != self._sealer.index:
            self._tail.truncate(0)
            self._tail_of, self._tailed = self._sealer.index, 0
        if self._tailed < self._sealer.pending:
            for piece in self._sealer.tail(self._tailed):
                self._tail.write(piece)
            self._tailed = self._sealer.pending
            self._tail.sync()

    def finish(self) -> Blob:
        """Seal the rest; returns when the whole blob is on the disk. Only :meth:`close` may follow.

        The tail stays: until its owner has noted that the blob is whole, an interrupted one begins with it.
        """
        blob = self._sealer.finish()
        self._blob.sync()
        return blob

    def discard(self) -> None:
        """Forget what was written since the last sync, and close."""
        try:
            self._blob.discard()
        finally:
            self._tail.discard()

    def close(self) -> None:
        self._blob.close()
        self._tail.close()

    def _begin(self, recipients: Sequence[SealKey], segment_size: int) -> Sealer:
        self._blob.truncate(0)
        self._tail.truncate(0)
        return Sealer.begin(self._blob.write, recipients, segment_size)

    def _resume(self, key: UnsealKey) -> Sealer | None:
        """None when there is nothing to go on with."""
        with self._blob.path.open("rb") as blob, self._tail.path.open("rb") as tail:
            try:
                sealer = Sealer.resume(self._blob.write, blob, key)
            except QurbaniError:
                return None
            self._blob.truncate(sealer.blob_size)
            self._blob.sync()  # before the tail goes: it may be all there is on the disk of the last segment
            self._tail.truncate(sealer.resume_tail(tail))
            self._tail.sync()
        # Only what has opened proves the header; without, it may be torn where other recipients find their key.
        return sealer if sealer.size else None
