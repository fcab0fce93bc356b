"""Recording by hand, from the command line, beside the running box."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import av
import msgspec

from edge.db import one
from edge.disk import Ballast, Disk
from edge.recorder.view import CameraView
from edge.recorder.window import Looker
from edge.recordings import Recording, Recordings
from edge.room import Room
from shared.errors import QurbaniError
from shared.ids import new_id

if TYPE_CHECKING:
    from edge.main import Box

LOOK_S = 0.2
PATIENCE_S = 30.0
"""For the recorder to begin, and to end."""


class Tried(msgspec.Struct, frozen=True):
    """What a camera has sent in the last seconds: its pictures per second, and how far its key frames lie apart."""

    camera: CameraView
    rate: float
    key_s: float | None

    def line(self) -> str:
        seen = f"{self.camera.name}: {self.camera.picture}, {self.rate:.0f} pictures a second, "
        seen += "with sound" if self.camera.has_sound else "WITHOUT SOUND"
        if self.key_s is None:
            return f"{seen}; not two key frames in the last seconds: let the camera send one every second or two"
        return f"{seen}; a key frame every {self.key_s:.1f} s"


class Kept(msgspec.Struct, frozen=True):
    """The video that came of it; ``size`` in bytes."""

    id: UUID
    size: int


def attempt(box: Box, camera: str) -> Tried:
    """What a camera sends; nothing of it is kept. Raises ``not_found`` or ``camera_lost``."""
    looker = Looker(box.settings)
    sample, view = looker.sample(camera), _view(looker, camera)
    with av.open(io.BytesIO(sample)) as film:
        packets = [packet for packet in film.demux(video=0) if packet.dts is not None and packet.time_base]
    times = [float(packet.dts * packet.time_base) for packet in packets if packet.dts is not None]
    keys = [time for packet, time in zip(packets, times, strict=True) if packet.is_keyframe]
    lasts = max(times) - min(times)
    key_s = (keys[-1] - keys[0]) / (len(keys) - 1) if len(keys) > 1 else None
    return Tried(view, (len(times) - 1) / lasts if lasts else 0.0, key_s)


def record(box: Box, camera: str, sacrifice: UUID, seconds: float, passed: Callable[[float], None]) -> Kept:
    """Record for so long, or until interrupted, in the name of the sacrifice's executor; returns when it is kept.

    Raises what the tablets' way to it does.
    """
    view = _view(Looker(box.settings), camera)
    if view.phase != "ready":
        raise QurbaniError("camera_lost", view.trouble)
    own = box.settings
    disk, ballast = Disk(own.folder, own.edge_reserve_bytes), Ballast(own.ballast, own.edge_ballast_bytes)
    Room(box.db, box.blobs, disk, ballast, own.edge_low_bytes).make_sure(0)
    found = box.db.read(lambda tx: one(tx, "SELECT executor_id FROM sacrifice WHERE id = ?", sacrifice))
    if found is None:
        raise QurbaniError("not_found", "no such sacrifice")
    ledger, executor = Recordings(box.db, box.clock), UUID(found["executor_id"])
    asked = ledger.ask(new_id(), sacrifice, camera, executor, None)
    try:
        _until(ledger, asked, lambda now: now.state != "asked")
        began = time.monotonic()
        while (so_far := time.monotonic() - began) < seconds and not ledger.find(asked.id).is_over:
            passed(so_far)
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        pass
    ledger.stop(asked.id, executor)
    ended = _until(ledger, asked, lambda now: now.is_over)
    if ended.state == "empty":
        raise QurbaniError("camera_lost", "the camera showed nothing; nothing was recorded")
    return Kept(asked.id, int(box.db.rows("SELECT size FROM video WHERE id = ?", str(asked.id))[0]["size"]))


def _view(looker: Looker, camera: str) -> CameraView:
    for view in looker.cameras():
        if view.name == camera:
            return view
    raise QurbaniError("not_found", "QURBANI_EDGE_CAMERAS names no such camera")


def _until(ledger: Recordings, asked: Recording, is_so: Callable[[Recording], bool]) -> Recording:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so(now := ledger.find(asked.id)):
        if time.monotonic() > deadline:
            raise QurbaniError("unavailable", "the recorder does not answer; what was asked for stays written down")
        time.sleep(LOOK_S)
    return now
