"""What goes ahead of a video over a slow line: a picture of the act and a few seconds of it, sealed as the video is.

Made in the confined process that also makes the hub's copies, from the sealed original; nothing readable is written.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import msgspec

from edge.blobs import Blobs
from edge.capture import Copy
from edge.site import Site
from shared.crypto import SealKey
from shared.domain.verdict import CAUSES, Verdict
from shared.errors import QurbaniError
from shared.renditions import Quality, sandbox
from shared.scratch import Scratch

POSTER_SIDE = 480
"""Pixels: some 25 kB, three seconds at 64 kbit/s."""
SECONDS = 10.0
PREVIEW = Quality(long_side=320, fps=10, crf=32, video_rate=96_000, audio_rate=24_000, seconds=SECONDS)
"""Some 120 kB: a quarter of a minute at 64 kbit/s."""
LEAD_S = 3.0
"""The preview begins this long before the picture that shows most."""

Prove = Callable[[UUID], Sequence[Copy]]
"""The copies that go ahead of the video with this id, kept among the blobs; none of one that cannot be decoded."""


class Proofs:
    """Makes them for the videos of one box; ``recipients`` are its own key and the hub's."""

    def __init__(self, site: Site, blobs: Blobs, recipients: Sequence[SealKey], folder: Path) -> None:
        self._site = site
        self._blobs = blobs
        self._recipients = recipients
        self._folder = folder

    def __call__(self, video_id: UUID) -> list[Copy]:
        at = moment(self._site.verdict(video_id))
        quality = msgspec.structs.replace(PREVIEW, begin=max(0.0, (at or 0.0) - LEAD_S))
        names = self._site.names(video_id)
        with self._blobs.opened(names.blob_id) as video, Scratch() as preview:
            try:
                _, still = sandbox.copies(video, preview, quality, poster_side=POSTER_SIDE, poster_at=at)
            except QurbaniError as error:
                if error.code not in CAUSES:
                    raise
                return []
            return [self._keep(video_id, "poster", io.BytesIO(still)), self._keep(video_id, "preview", preview)]

    def _keep(self, video_id: UUID, variant: str, plain: BinaryIO) -> Copy:
        path = self._folder / f"{video_id}.{variant}"  # an attempt that was killed left the same one
        plain.seek(0)
        blob = self._blobs.seal(plain.read(), self._recipients, path)
        return Copy(variant, blob.sha256, blob.size, blob.blob_id, blob.blob_size)


def moment(verdict: Verdict) -> float | None:
    """The second of the picture that shows person, animal and knife best, the least of the three counting."""
    best = max(verdict.frames, key=lambda frame: min(frame.person, frame.animal, frame.knife), default=None)
    return best and best.time
