"""The recorder as a whole: its cameras, what each yard wants of them, and the window for who looks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from edge.arrival import Arrival
from edge.bus import RECORD, Bell, Ear
from edge.disk import Ballast
from edge.recorder.address import parse
from edge.recorder.camera import Camera
from edge.recorder.desk import Desk
from edge.recorder.recording import Keeper
from edge.recorder.ring import Ring
from edge.recorder.still import Still, sample
from edge.recorder.view import CameraView
from edge.recorder.window import CAMERAS, PICTURE, Window
from edge.recordings import Recordings
from edge.settings import Settings
from shared.errors import QurbaniError
from shared.ids import new_id

if TYPE_CHECKING:
    from edge.main import Box

LOOK_S = 1.0
"""How late a wish is noticed whose bell was lost."""

SLACK_S = 20.0
"""The ring reaches so far beyond where a recording begins: for cameras with few key frames, and for slow disks."""

SAMPLE_S = 3.0
"""For the look before the act."""


class Office:
    """Works for the yards of ``boxes``, of which the first is the site's own."""

    def __init__(self, settings: Settings, boxes: list[Box], bell: Bell) -> None:
        self._bell = bell
        self._ledgers = [Recordings(box.db, box.clock) for box in boxes]
        self._cameras = {
            address.name: Camera(
                address, Ring(settings.edge_preroll_s + SLACK_S, settings.edge_ring_bytes), now_us, self._changed
            )
            for address in parse(settings.edge_cameras)
        }
        self._stills = {name: Still(camera.ring) for name, camera in self._cameras.items()}
        self._desks = [desk(box, self._cameras, bell) for box in boxes]
        self._window = Window(settings.run, self._answer)

    def run(self, ear: Ear) -> None:
        """For ever."""
        for desk in self._desks:
            desk.tidy()
        for camera in self._cameras.values():
            camera.begin()
        self._window.open()
        while True:
            for desk in self._desks:
                desk.look()
            ear.wait(LOOK_S)

    def _changed(self, camera: str) -> None:
        for ledger in self._ledgers:
            ledger.tell_of(camera)
        self._bell.ring(RECORD)

    def _answer(self, question: str, name: str) -> bytes:
        if question == CAMERAS:
            return msgspec.json.encode([self._view(camera) for camera in self._cameras.values()])
        if name not in self._cameras:
            raise QurbaniError("not_found", "the box has no such camera")
        camera = self._cameras[name]
        if camera.view().phase != "ready":
            raise QurbaniError("camera_lost", camera.view().trouble)
        if question == PICTURE:
            return self._stills[name].jpeg()
        return sample(camera.ring, SAMPLE_S)

    def _view(self, camera: Camera) -> CameraView:
        busy = [sacrifice for desk in self._desks for sacrifice in desk.recorded_by(camera.name)]
        return msgspec.structs.replace(camera.view(), recording=busy)


def desk(box: Box, cameras: Mapping[str, Camera], bell: Bell) -> Desk:
    """That of one yard."""
    own, ledger = box.settings, Recordings(box.db, box.clock)
    room = Ballast(own.ballast, own.edge_ballast_bytes)
    keeper = Keeper(ledger, Arrival(box.capture, box.blobs, bell), bell, now_us, new_id, room.drop)
    recipients = [box.keys.seal.public, box.node.hub_seal]
    return Desk(
        keeper, cameras, own.recordings, recipients, box.keys.seal, box.clock, own.edge_preroll_s, own.edge_recording_s
    )


def finish(box: Box) -> int:
    """Have videos made of what was left, where no recorder runs; how many recordings that were."""
    return desk(box, {}, Bell(box.settings.run, "recorder")).finish()


def now_us() -> int:
    """What :class:`shared.clock.SystemClock` calls ``mono_ms``, finer."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
