"""Photos of what is in the yard: sealed like the videos, and sent after the proofs and before the films."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, put
from litestar.params import FromPath, QueryParameter

from edge.auth import Executor
from edge.blobs import Blobs
from edge.bus import OP, Bell
from edge.capture import Capture, Photo
from edge.db import Database
from edge.room import Room
from shared.crypto import SealKey
from shared.errors import QurbaniError

LARGEST = 8 << 20
"""Bytes. The page makes them small before it sends them, some 200 kB."""

KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
"""How files begin that are taken. No other is, whatever it is called: it is shown again as what it is."""


class Photos:
    """Those of one box; ``recipients`` are its own key and the hub's, ``folder`` is where a file grows."""

    def __init__(
        self, db: Database, capture: Capture, blobs: Blobs, room: Room, recipients: Sequence[SealKey], folder: Path
    ) -> None:
        self._db = db
        self._capture = capture
        self._blobs = blobs
        self._room = room
        self._recipients = recipients
        self._folder = folder
        self._lock = threading.Lock()

    def keep(self, id: UUID, of: UUID, content: bytes, executor_id: UUID) -> None:
        """Durable when this returns; safe to repeat. Raises ``unsupported_media``, ``disk_full`` or ``conflict``."""
        kind = next((kind for start, kind in KINDS.items() if content.startswith(start)), None)
        if kind is None:
            raise QurbaniError("unsupported_media", "a photo is a JPEG or a PNG")
        self._room.make_sure(len(content))
        with self._lock:  # a tablet that asks again writes over what a crash left, never into what is being written
            blob = self._blobs.seal(content, self._recipients, self._folder / f"{id}.photo")
        photo = Photo(id, of, blob.sha256, blob.size, blob.blob_id, blob.blob_size, kind)
        try:
            kept = self._capture.keep_photo(photo, executor_id)
        except QurbaniError:
            self._blobs.drop(blob.blob_id)
            raise
        if kept != blob.blob_id:
            self._blobs.drop(blob.blob_id)

    def read(self, id: UUID) -> tuple[bytes, str]:
        """A photo and its media type. Raises ``not_found``, also where its bytes have left for the hub."""
        rows = self._db.rows("SELECT blob_id, media_type FROM photo WHERE id = ?", str(id))
        try:
            with self._blobs.opened(rows[0]["blob_id"]) as content:
                return content.read(), rows[0]["media_type"]
        except (IndexError, FileNotFoundError) as error:
            raise QurbaniError("not_found", "there is no such photo here") from error


@put("/api/v1/photos/{photo_id:uuid}", request_max_body_size=LARGEST, status_code=204)
async def keep_photo(
    request: Request[Any, Any, Any],
    photo_id: FromPath[UUID],
    of: Annotated[UUID, QueryParameter()],
    executor: Executor,
    photos: Photos,
    bell: Bell,
) -> None:
    """The body is the picture; both ids are made by the tablet. It may come before the record that it shows."""
    await asyncio.to_thread(photos.keep, photo_id, of, await request.body(), executor.id)
    bell.ring(OP)


@get("/photos/{photo_id:uuid}", sync_to_thread=True)
def show_photo(photo_id: FromPath[UUID], executor: Executor, photos: Photos) -> Response[bytes]:
    content, kind = photos.read(photo_id)
    return Response(content, media_type=kind)
