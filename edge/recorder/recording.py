"""One recording: follows the ring of its camera into sealed parts on the disk, and in the end becomes a video."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Sequence

import av.error
import structlog

from edge.arrival import Arrival
from edge.bus import RECORD, Bell
from edge.recorder.fragments import Fragments
from edge.recorder.reel import Reel
from edge.recorder.ring import Ring
from edge.recorder.tracks import Piece, Tracks
from edge.recordings import Recording, Recordings
from shared.ids import NewId
from shared.sealed_file import SealedFile

WAIT_S = 0.2
"""For the next piece, before it is looked whether the recording is to end."""

PATIENCE_US = 1_000_000
"""How long after its end the last piece may come."""

MEDIA_TYPE = "video/mp4"

_log = structlog.get_logger(__name__)


class Keeper:
    """What recordings of one yard are kept with. ``give_room`` makes some where the disk is full."""

    def __init__(
        self, ledger: Recordings, arrival: Arrival, bell: Bell, now_us: Callable[[], int], new_id: NewId,
        give_room: Callable[[], bool],
    ) -> None:
        self.ledger = ledger
        self.arrival = arrival
        self.bell = bell
        self.now_us = now_us
        self.new_id = new_id
        self.give_room = give_room


class Film(threading.Thread):
    """Works on one recording until what came of it is written down. When it fails, another may try again.

    ``ring`` is None when there is nothing to add to what is on the disk.
    """

    def __init__(
        self, asked: Recording, reel: Reel, keeper: Keeper, ring: Ring | None, since_us: int, end_us: int, kept_us: int
    ) -> None:
        super().__init__(name=f"film {asked.camera}", daemon=True)
        self._asked = asked
        self._reel = reel
        self._keeper = keeper
        self._ring = ring
        self._since = since_us
        self._end = end_us
        self._origin = asked.origin_us
        self._part: SealedFile | None = None
        self.kept_us = kept_us
        """What comes after this microsecond is not on the disk yet."""
        self.failed_us: int | None = None

    def end(self, us: int) -> None:
        """Have it end with what was filmed at this microsecond."""
        self._end = min(self._end, us)

    def run(self) -> None:
        try:
            if self._ring is not None:
                self._follow(self._ring)
            self._finish()
        except Exception as error:  # one recording must not end the others: it is tried again
            _log.error("recording_failed", recording=str(self._asked.id), exc_info=error)
            self.failed_us = self._keeper.now_us()

    def _follow(self, ring: Ring) -> None:
        place = None
        while place is None:
            if self._keeper.now_us() > self._end:
                return
            place = ring.place(self._since)
            if place is None:
                time.sleep(WAIT_S)
        cutter = _Cutter(self._origin, self._reel.head(), self.kept_us)
        is_over = False
        try:
            while not is_over:
                pieces, place = ring.after(place, WAIT_S)
                wanted = [piece for piece in pieces if piece.dts <= self._end]
                self._keep(cutter.cut(wanted), cutter)
                self.kept_us = wanted[-1].dts if wanted else self.kept_us
                is_over = len(wanted) < len(pieces) or self._keeper.now_us() > self._end + PATIENCE_US
            self._keep(cutter.close(), cutter)
        except _Changed:
            _log.warning("camera_changed", recording=str(self._asked.id))
            self._keep(cutter.close(), cutter)
            self._keeper.ledger.split(self._asked, self._keeper.new_id())
        except BaseException:
            if self._part is not None:
                self._part.discard()
            raise
        if self._part is not None:
            self._part.close()

    def _keep(self, film: bytes, cutter: _Cutter) -> None:
        """Have fragments on the disk; only then it is true that it is being recorded."""
        if not film:
            return
        if self._part is None:
            self._part = self._reel.part()
            self._part.write(cutter.head)
        self._part.write(film)
        self._part.sync()
        if self._origin is None and cutter.origin is not None:
            self._origin = cutter.origin
            self._keeper.ledger.runs(self._asked.id, self._origin)
            self._keeper.bell.ring(RECORD)

    def _finish(self) -> None:
        asked, keeper = self._asked, self._keeper
        try:
            found = self._reel.finish()
        except OSError as error:
            # The room that is held is for records, not for what a full disk has no place for; but a film ends.
            if error.errno == errno.ENOSPC:
                keeper.give_room()
            raise
        if found is not None:
            path, blob = found
            keeper.arrival.take(asked.id, asked.sacrifice_id, asked.executor_id, MEDIA_TYPE, path, blob)
        keeper.ledger.ends(asked.id, "kept" if found else "empty")
        self._reel.discard()
        keeper.bell.ring(RECORD)


class _Changed(Exception):
    """The camera sends what does not fit into the film that was begun."""


class _Cutter:
    """Cuts pieces into fragments, over interruptions of the camera. The film begins at ``origin``, with ``head``."""

    def __init__(self, origin: int | None, head: bytes, kept_us: int) -> None:
        self.origin = origin
        self.head = head
        self._kept_us = kept_us
        self._tracks: Tracks | None = None
        self._film: Fragments | None = None

    def cut(self, pieces: Sequence[Piece]) -> bytes:
        """The fragments that have become whole. Raises :class:`_Changed`."""
        return b"".join(map(self._put, pieces))

    def close(self) -> bytes:
        film, self._film = self._film, None
        return film.close() if film else b""

    def _put(self, piece: Piece) -> bytes:
        ended = b""
        if piece.tracks is not self._tracks:
            ended = self.close()
            self._tracks = piece.tracks
        if self._film is None:
            if not piece.begins_picture or piece.dts <= self._kept_us:
                return ended
            self._film = self._begun(piece)
        try:
            return ended + self._film.put(piece)
        except (av.error.FFmpegError, ValueError):  # a piece that no film can hold: on from the next key frame
            self._film = None
            return ended

    def _begun(self, piece: Piece) -> Fragments:
        self.origin = piece.dts if self.origin is None else self.origin
        film = Fragments(piece.tracks, self.origin)
        if self.head and film.head != self.head:
            raise _Changed
        self.head = film.head
        return film
