"""Keeps looking through one camera, whatever becomes of it, and fills its ring."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator

import structlog

from edge.recorder.address import Address
from edge.recorder.ring import Ring
from edge.recorder.source import Lost, Source, connect
from edge.recorder.tracks import Piece
from edge.recorder.view import CameraView, Phase

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
"""Between attempts to reach a camera: doubled each time, by chance up to half of it less."""

STEADY_US = 20_000_000
"""A camera that was there for so long is asked for again at once."""

JUMP_US = 5_000_000
"""A camera whose clock is off by more than this, against what it was, has set it."""

WAITED_US, HOARD_US = 10_000, 2_000_000
"""A piece that was waited for so long has come just now; so has any after so long."""

DRIFT = 5000
"""No camera's clock loses more than the five-thousandth part of the time that passes."""

_log = structlog.get_logger(__name__)


class Camera:
    """``changed`` is called with its name whenever its phase has; ``now_us`` is the clock of the box."""

    def __init__(self, address: Address, ring: Ring, now_us: Callable[[], int], changed: Callable[[str], None]) -> None:
        self.name = address.name
        self.ring = ring
        self._address = address
        self._now_us = now_us
        self._changed = changed
        self._phase: Phase = "opening"
        self._since = now_us()
        self._trouble = ""
        self._source: Source | None = None

    def begin(self) -> None:
        """Look from now on, in threads of its own, as long as the process lives."""
        threading.Thread(target=self._forever, name=f"camera {self.name}", daemon=True).start()

    def view(self) -> CameraView:
        for_s = (self._now_us() - self._since) / 1e6
        source = self._source
        if source is None:
            return CameraView(self.name, self._phase, for_s, trouble=self._trouble)
        shown, has_sound = source.tracks.shown, source.tracks.has_sound
        return CameraView(self.name, self._phase, for_s, self.ring.seconds, shown, has_sound)

    def _forever(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            begun = self._now_us()
            try:
                self._look(connect(self._address))
            except Lost as lost:
                self._be("lost", None, str(lost))
            if self._now_us() - begun > STEADY_US:
                wait_s = FIRST_WAIT_S
            time.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - so that several do not knock at once
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _look(self, source: Source) -> None:
        """Until the camera is lost. Its microphone, where that is a device of its own, is listened to beside it."""
        is_over = threading.Event()
        beside = [
            threading.Thread(target=self._listen, args=(feed, is_over), daemon=True) for feed in source.feeds[1:]
        ]
        for thread in beside:
            thread.start()
        try:
            for piece in placed(source.feeds[0], self._now_us):
                self.ring.put(piece)
                if self._source is not source:
                    self._be("ready", source, "")
        finally:
            is_over.set()
            for thread in beside:
                thread.join()
            source.close()

    def _listen(self, feed: Iterator[Piece], is_over: threading.Event) -> None:
        try:
            for piece in placed(feed, self._now_us):
                if is_over.is_set():
                    return
                self.ring.put(piece)
        except Lost as lost:
            _log.warning("microphone_lost", camera=self.name, why=str(lost))

    def _be(self, phase: Phase, source: Source | None, trouble: str) -> None:
        is_news = phase != self._phase
        self._phase, self._source, self._trouble = phase, source, trouble
        if is_news:
            self._since = self._now_us()
            _log.info("camera_" + phase, camera=self.name, at=self._address.shown, why=trouble)
            self._changed(self.name)


def placed(feed: Iterator[Piece], now_us: Callable[[], int]) -> Iterator[Piece]:
    """The pieces of a feed by the clock of the box.

    What a camera sent while it was being looked what it sends comes all at once. When that was tells the first piece
    that has to be waited for.
    """
    timeline = Timeline(now_us)
    hoard: list[Piece] = []
    begun = asked = now_us()
    for piece in feed:
        now = now_us()
        hoard.append(piece)
        if timeline.is_set or now - asked > WAITED_US or now - begun > HOARD_US:
            timeline.set(piece)
            yield from map(timeline.place, hoard)
            hoard.clear()
        asked = now_us()


class Timeline:
    """Tells when a piece was filmed by the clock of the box, of which cameras know nothing.

    Nothing was filmed later than it has come; so the piece that was least late tells how the clocks differ. They also
    drift apart, some seconds a day. Picture and sound have one clock, so that they stay together, unless the camera
    gives them times that have nothing to do with each other.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._clocks: dict[int, _Clock] = {}

    @property
    def is_set(self) -> bool:
        return bool(self._clocks)

    def set(self, piece: Piece) -> None:
        """The first piece that has come just now."""
        if not self.is_set:
            self._clocks[piece.track] = _Clock(self._now_us() - piece.dts, piece.dts)

    def place(self, piece: Piece) -> Piece:
        now = self._now_us()
        clock = self._clocks.get(piece.track) or next(iter(self._clocks.values()), None)
        if clock is None or clock.late(piece, now) > JUMP_US:
            clock = _Clock(now - piece.dts, piece.dts)
        self._clocks[piece.track] = clock
        ahead = clock.ahead(piece, now)
        times = piece.pts + ahead, piece.dts + ahead
        return Piece(piece.tracks, piece.track, piece.data, *times, piece.duration, piece.is_key)


class _Clock:
    """That of a camera; ``ahead`` is how far the box's is, as far as one knows."""

    def __init__(self, ahead: int, dts: int) -> None:
        self._ahead = ahead
        self._last = dts

    def late(self, piece: Piece, now: int) -> int:
        """How long a piece was on its way, or, where that cannot be, how much the camera's clock was set forward."""
        return abs(now - piece.dts - self._ahead)

    def ahead(self, piece: Piece, now: int) -> int:
        late = now - piece.dts - self._ahead
        self._ahead += min(late, max(0, piece.dts - self._last) // DRIFT)
        self._last = max(self._last, piece.dts)
        return self._ahead
