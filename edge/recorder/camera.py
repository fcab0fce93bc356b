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
        timeline, is_over = Timeline(self._now_us), threading.Event()
        beside = [
            threading.Thread(target=self._listen, args=(feed, Timeline(self._now_us), is_over), daemon=True)
            for feed in source.feeds[1:]
        ]
        for thread in beside:
            thread.start()
        try:
            for piece in source.feeds[0]:
                self.ring.put(timeline.place(piece))
                if self._source is not source:
                    self._be("ready", source, "")
        finally:
            is_over.set()
            for thread in beside:
                thread.join()
            source.close()

    def _listen(self, feed: Iterator[Piece], timeline: Timeline, is_over: threading.Event) -> None:
        try:
            for piece in feed:
                if is_over.is_set():
                    return
                self.ring.put(timeline.place(piece))
        except Lost as lost:
            _log.warning("microphone_lost", camera=self.name, why=str(lost))

    def _be(self, phase: Phase, source: Source | None, trouble: str) -> None:
        is_news = phase != self._phase
        self._phase, self._source, self._trouble = phase, source, trouble
        if is_news:
            self._since = self._now_us()
            _log.info("camera_" + phase, camera=self.name, at=self._address.shown, why=trouble)
            self._changed(self.name)


class Timeline:
    """Tells when a piece was filmed by the clock of the box, of which cameras know nothing.

    Nothing was filmed later than it has come; so the piece that was least late tells how the clocks differ. They also
    drift apart, some seconds a day.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._ahead: int | None = None  # what is added to the camera's clock
        self._last = 0

    def place(self, piece: Piece) -> Piece:
        now = self._now_us()
        late = 0 if self._ahead is None else now - piece.dts - self._ahead
        if self._ahead is None or late < 0 or late > JUMP_US:
            self._ahead = now - piece.dts
        else:
            self._ahead += min(late, max(0, piece.dts - self._last) // DRIFT)
        self._last = piece.dts
        dts, pts = piece.dts + self._ahead, piece.pts + self._ahead
        return Piece(piece.tracks, piece.track, piece.data, pts, dts, piece.duration, piece.is_key)
