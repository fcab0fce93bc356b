"""Keeps room for further videos: those that the hub has confirmed may go from the box, the oldest first.

A video goes only under a receipt of the hub, checked when it came (:mod:`edge.feed`), and what has not been confirmed
never goes, however full the disk is. The record of a video stays, with its hash, its verdict, and the note that its
bytes are at the hub.
"""

from __future__ import annotations

import asyncio

import structlog

from edge.blobs import Blobs
from edge.db import Database, Tx
from edge.disk import Ballast, Disk

TYPICAL_BYTES = 32 << 20
"""Of a video, as long as the box has none: two minutes at 2 Mbit/s."""

LEAST_BYTES = 1 << 20
"""Of a video, for reckoning: a few short ones promise nothing about the next."""

CONFIRMED = "confirmed_ms IS NOT NULL AND NOT pruned"
"""The blobs that the hub says it has, and this box has as well."""

_log = structlog.get_logger(__name__)


class Room:
    """The room of one box. ``low`` is the free bytes below which videos go that the hub has signed for."""

    def __init__(self, db: Database, blobs: Blobs, disk: Disk, ballast: Ballast, low: int) -> None:
        self._db = db
        self._blobs = blobs
        self._disk = disk
        self._ballast = ballast
        self._low = max(low, disk.reserve)

    async def tidy(self) -> None:
        """To be called at start and now and then."""
        await asyncio.to_thread(self._tidy)

    def _tidy(self) -> None:
        self._finish()
        self.make(0)
        self._ballast.keep(self._disk)

    def make(self, size: int) -> None:
        """Let confirmed videos go until ``size`` bytes fit above the low mark, or none is left that may go."""
        for row in self._db.rows(f"SELECT id FROM blob WHERE {CONFIRMED} ORDER BY rowid"):  # noqa: S608 - a constant
            if self._disk.free - size >= self._low:
                return
            # First the note, then the file: a crash in between leaves a file too many, never a note too few.
            if self._db.write(lambda tx, id=row["id"]: _note(tx, id)):
                self._blobs.drop(row["id"])
                _log.info("video_pruned", blob=row["id"])

    def make_sure(self, size: int) -> None:
        """Return when a video of ``size`` bytes fits (0: a typical one). Raises ``disk_full``."""
        wanted = size or self._db.read(typical)
        if not self._disk.has_room(wanted):
            self.make(wanted)
        self._disk.make_sure(wanted)

    def _finish(self) -> None:
        """Remove what a crash left between a note and its file."""
        for row in self._db.rows("SELECT id FROM blob WHERE pruned"):
            self._blobs.drop(row["id"])


def _note(tx: Tx, blob_id: str) -> bool:
    """Note that a blob goes, unless the hub has taken back meanwhile that it has it."""
    noted = tx.execute(f"UPDATE blob SET pruned = 1 WHERE id = ? AND {CONFIRMED}", [blob_id])  # noqa: S608 - a constant
    return bool(noted.rowcount)


def typical(tx: Tx) -> int:
    """Bytes of a video to come: the mean of the last ones."""
    late = "SELECT blob.size FROM video JOIN blob ON blob.id = video.blob_id ORDER BY video.rowid DESC LIMIT 50"
    (mean,) = tx.execute(f"SELECT avg(size) FROM ({late})").fetchone()  # noqa: S608 - a constant
    return max(int(mean or TYPICAL_BYTES), LEAST_BYTES)


def captures_left(tx: Tx, disk: Disk) -> int:
    """How many videos of the usual size still fit, counting the room of those that may go."""
    confirmed = f"SELECT coalesce(sum(size), 0) FROM blob WHERE {CONFIRMED}"  # noqa: S608 - a constant
    room = disk.free - disk.reserve + tx.execute(confirmed).fetchone()[0]
    return int(max(0, room) // typical(tx))
