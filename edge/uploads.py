"""Videos from tablets: what an upload must say before it begins, and what happens when it has arrived whole."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import msgspec

from edge.arrival import Arrival
from edge.room import Room
from edge.site import Site
from shared.errors import QurbaniError
from shared.tus.server import Arrived
from shared.tus.store import Upload

PARTIAL = "partial"


class Metadata(msgspec.Struct, frozen=True):
    """``Upload-Metadata`` of a video. Whoever sends ``id`` too may begin the same upload again."""

    video_id: UUID
    sacrifice_id: UUID
    filetype: Annotated[str, msgspec.Meta(pattern=r"^video/[a-z0-9.+-]+(;.*)?$", max_length=100)] = "video/mp4"


class VideoUploads:
    """The hooks of the tus server. The owner of an upload is the executor who sends it."""

    def __init__(self, site: Site, arrival: Arrival, room: Room) -> None:
        self._site = site
        self._arrival = arrival
        self._room = room

    async def admit(self, upload: Upload, received: int) -> None:
        """Refuse before the first byte: ``disk_full``, ``bad_input``, ``not_found``, or ``conflict`` if it is here.

        What was begun may end: its last bytes are what the reserve is for.
        """
        if not received:
            await asyncio.to_thread(self._room.make_sure, upload.length or 0)
        if upload.concat != PARTIAL:
            video = read_metadata(upload.metadata)
            await asyncio.to_thread(self._site.expect_video, video.video_id, video.sacrifice_id)

    async def finished(self, arrived: Arrived) -> None:
        """Keep the sealed video and write it down. Safe to repeat; acknowledged only after this."""
        video = read_metadata(arrived.metadata)
        owner = UUID(arrived.owner)
        take = self._arrival.take
        await asyncio.to_thread(
            take, video.video_id, video.sacrifice_id, owner, video.filetype, arrived.path, arrived.blob)


def read_metadata(metadata: dict[str, str]) -> Metadata:
    try:
        return msgspec.convert(metadata, Metadata)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_input", f"Upload-Metadata: {error}") from error
