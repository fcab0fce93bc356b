"""The last step of every video, whichever way it came: it stands among the blobs, and is written down."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from edge.blobs import Blobs
from edge.bus import JOB, OP, Bell
from edge.capture import Capture, Video
from shared.sealed import Blob


class Arrival:
    """Takes whole, sealed videos in."""

    def __init__(self, capture: Capture, blobs: Blobs, bell: Bell) -> None:
        self._capture = capture
        self._blobs = blobs
        self._bell = bell

    def take(self, id: UUID, sacrifice_id: UUID, executor_id: UUID, media_type: str, path: Path, blob: Blob) -> None:
        """Keep the sealed file at ``path``, which may go then. Safe to repeat; acknowledged only after this.

        Raises what :meth:`edge.capture.Capture.keep_video` does.
        """
        self._blobs.keep(path, blob.blob_id)
        video = Video(id, sacrifice_id, blob.sha256, blob.size, blob.blob_id, blob.blob_size, media_type)
        kept = self._capture.keep_video(video, executor_id)
        if kept != blob.blob_id:
            self._blobs.drop(blob.blob_id)
        self._bell.ring(JOB, OP)
