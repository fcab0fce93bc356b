"""Sees to it that what was asked for is recorded, and that what a crash left over becomes a video."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from edge.recorder.camera import Camera
from edge.recorder.recording import Film, Keeper
from edge.recorder.reel import Reel
from edge.recordings import Recording
from shared.clock import Clock
from shared.crypto import SealKey, UnsealKey
from shared.errors import QurbaniError

RETRY_US = 3_000_000
"""After a recording could not be written, or not be kept."""


class Desk:
    """The recordings of one yard, in the folder ``folder``.

    Each begins ``preroll_s`` before it was asked for, and ends by itself ``most_s`` after.
    """

    def __init__(
        self, keeper: Keeper, cameras: Mapping[str, Camera], folder: Path, recipients: Sequence[SealKey],
        key: UnsealKey, clock: Clock, preroll_s: float, most_s: float,
    ) -> None:
        self._keeper = keeper
        self._cameras = cameras
        self._folder = folder
        self._recipients = recipients
        self._key = key
        self._clock = clock
        self._preroll_us = int(preroll_s * 1e6)
        self._most_us = int(most_s * 1e6)
        self._films: dict[UUID, Film] = {}

    def look(self) -> None:
        """Begin and end what is to begin and to end. To be called at each bell, and now and then."""
        unfinished = self._keeper.ledger.unfinished()
        self._films = {asked.id: self._films[asked.id] for asked in unfinished if asked.id in self._films}
        for asked in unfinished:
            last = self._films.get(asked.id)
            if last is None or (last.failed_us is not None and self._keeper.now_us() - last.failed_us > RETRY_US):
                self._films[asked.id] = self._film(asked, last.kept_us if last else 0)
                self._films[asked.id].start()
            if asked.stop_ms is not None:
                self._films[asked.id].end(asked.stop_ms * 1000)

    def finish(self) -> int:
        """Make videos of what is there, and wait for them; how many recordings have ended that way."""
        before = self._keeper.ledger.unfinished()
        for asked in before:
            self._film(asked, 0).run()
        return len(before) - len(self._keeper.ledger.unfinished())

    def tidy(self) -> None:
        """Remove what is left of recordings that were kept. To be called at start."""
        open_ones = {str(asked.id) for asked in self._keeper.ledger.unfinished()}
        for folder in self._folder.iterdir() if self._folder.is_dir() else []:
            if folder.name not in open_ones and self._is_known(folder.name):
                shutil.rmtree(folder)

    def recorded_by(self, camera: str) -> list[str]:
        """The sacrifices that a camera records now."""
        return [str(asked.sacrifice_id) for asked in self._keeper.ledger.unfinished()
                if asked.camera == camera and asked.state == "running"]  # fmt: skip

    def _film(self, asked: Recording, kept_us: int) -> Film:
        reel = Reel(self._folder / str(asked.id), self._recipients, self._key)
        now, camera = self._clock.read(), self._cameras.get(asked.camera)
        end = asked.asked_ms * 1000 + self._most_us
        if asked.stop_ms is not None:
            end = min(end, asked.stop_ms * 1000)
        # After a crash the recording goes on, unless its end has come meanwhile; after a loss of power nobody knows
        # how long it took, and who stood there has gone.
        goes_on = asked.boot == now.boot and (now.mono_ms * 1000 < end or not reel.is_there)
        ring = camera.ring if camera and goes_on else None
        since = max(asked.asked_ms * 1000 - self._preroll_us, kept_us)
        return Film(asked, reel, self._keeper, ring, since, end, kept_us)

    def _is_known(self, name: str) -> bool:
        with suppress(QurbaniError, ValueError):
            return self._keeper.ledger.find(UUID(name)).is_over
        return False
