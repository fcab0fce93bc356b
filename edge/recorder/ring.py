"""The last half minute of a camera, encoded, in memory: a recording begins before anybody has asked for it.

Whoever records follows the ring at a pace of their own, so a disk that hangs for a while costs nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from edge.recorder.tracks import Piece


class Ring:
    """At most ``seconds`` and ``size`` bytes of pieces, oldest first. Times are those of the box. For all threads."""

    def __init__(self, seconds: float, size: int) -> None:
        self._us = int(seconds * 1_000_000)
        self._most = size
        self._held: deque[Piece] = deque()
        self._first = 0  # the number of the oldest piece; they are counted from the first there ever was
        self._bytes = 0
        self._news = threading.Condition()

    def put(self, piece: Piece) -> None:
        with self._news:
            self._held.append(piece)
            self._bytes += len(piece.data)
            while self._bytes > self._most or self._held[0].dts < piece.dts - self._us:
                self._bytes -= len(self._held.popleft().data)
                self._first += 1
            self._news.notify_all()

    @property
    def seconds(self) -> float:
        """How far back a recording could begin."""
        with self._news:
            begin = next((piece for piece in self._held if piece.begins_picture), None)
            return (self._held[-1].dts - begin.dts) / 1e6 if begin else 0.0

    @property
    def newest(self) -> Piece | None:
        with self._news:
            return self._held[-1] if self._held else None

    def place(self, since: int) -> int | None:
        """Where a film begins that shows all from the microsecond ``since`` on, or as much of it as there is.

        The number of a key frame of the picture; None as long as there is none.
        """
        with self._news:
            keys = [at for at, piece in enumerate(self._held) if piece.begins_picture]
            if not keys:
                return None
            before = [at for at in keys if self._held[at].dts <= since]
            return self._first + (before[-1] if before else keys[0])

    def after(self, place: int, wait_s: float = 0.0) -> tuple[Sequence[Piece], int]:
        """The pieces from ``place`` on, and the place after them; waits so long for the first.

        Where pieces have gone that nobody has read, it goes on at a key frame.
        """
        with self._news:
            self._news.wait_for(lambda: self._first + len(self._held) > place, wait_s)
            begin = place - self._first
            if begin < 0:
                begin = next((at for at, piece in enumerate(self._held) if piece.begins_picture), len(self._held))
            return list(islice(self._held, begin, None)), self._first + len(self._held)
