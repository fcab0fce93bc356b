"""The box's own cameras, over HTTP: what they see, and recording with them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from edge.auth import Executor
from edge.bus import RECORD, Bell
from edge.preflight import Preflights
from edge.recorder.view import CameraView
from edge.recorder.window import Looker
from edge.recordings import Recording, Recordings, State
from edge.room import Room
from shared.errors import QurbaniError

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]


class Record(msgspec.Struct, frozen=True):
    """``id`` is that of the video to be, made by whoever asks, who may then ask again.

    ``claim`` is the token of a claim on the animal, where one was taken.
    """

    id: UUID
    sacrifice_id: UUID
    camera: Name
    claim: int | None = None


class Stop(msgspec.Struct, frozen=True):
    """``claim`` lets somebody end what another one began, and left."""

    claim: int | None = None


class RecordingView(msgspec.Struct, frozen=True):
    """``asked`` until it is on the disk, ``running``, then ``kept``: there is a video of the same ``id``.

    ``empty``: the camera showed nothing all the while. ``is_ending`` once it was told to stop.
    """

    id: UUID
    sacrifice_id: UUID
    camera: str
    state: State
    is_ending: bool


@get("/api/v1/cameras", sync_to_thread=True)
def cameras(executor: Executor, looker: Looker) -> list[CameraView]:
    """All of them, and how each is."""
    return looker.cameras()


@get("/api/v1/cameras/{name:str}/picture", sync_to_thread=True)
def picture(name: FromPath[str], executor: Executor, looker: Looker) -> Response[bytes]:
    """What a camera sees now, to frame by."""
    return Response(looker.picture(name), media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@post("/api/v1/cameras/{name:str}/preflight", status_code=200)
async def look_before(
    name: FromPath[str], executor: Executor, looker: Looker, preflights: Preflights
) -> dict[str, Any]:
    """As ``POST /api/v1/preflight``, about what the camera has seen and heard a moment ago."""
    clip = await asyncio.to_thread(looker.sample, name)
    return await asyncio.to_thread(preflights, clip)


@post("/api/v1/recordings", sync_to_thread=True)
def record(
    data: Record, executor: Executor, looker: Looker, recordings: Recordings, room: Room, bell: Bell
) -> RecordingView:
    """Have a sacrifice recorded by a camera, from some seconds ago on.

    Refused with ``camera_lost``, ``camera_busy``, ``disk_full``, or behind the fence.
    """
    known = {camera.name: camera for camera in looker.cameras()}
    if data.camera not in known:
        raise QurbaniError("not_found", "the box has no such camera")
    if known[data.camera].phase != "ready":
        raise QurbaniError("camera_lost", known[data.camera].trouble)
    room.make_sure(0)
    asked = recordings.ask(data.id, data.sacrifice_id, data.camera, executor.id, data.claim)
    bell.ring(RECORD)
    return view(asked)


@get("/api/v1/recordings/{recording_id:uuid}", sync_to_thread=True)
def recording(recording_id: FromPath[UUID], executor: Executor, recordings: Recordings) -> RecordingView:
    """How far it is."""
    return view(recordings.find(recording_id))


@post("/api/v1/recordings/{recording_id:uuid}/stop", status_code=200, sync_to_thread=True)
def stop(
    recording_id: FromPath[UUID], data: Stop, executor: Executor, recordings: Recordings, bell: Bell
) -> RecordingView:
    """End it with what is seen now."""
    told = recordings.stop(recording_id, executor.id, data.claim)
    bell.ring(RECORD)
    return view(told)


def view(recording: Recording) -> RecordingView:
    return RecordingView(
        recording.id, recording.sacrifice_id, recording.camera, recording.state, recording.stop_ms is not None
    )


CAMERAS = [cameras, picture, look_before, record, recording, stop]
