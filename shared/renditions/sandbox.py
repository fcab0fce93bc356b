"""Makes the copy to watch and the poster in a confined process."""

from __future__ import annotations

import sys
from typing import BinaryIO

import msgspec
from PIL import Image

from shared.evidence import workshop
from shared.evidence.confined import Limits
from shared.evidence.media import Video
from shared.renditions.compress import WATCHABLE, Progress, Quality, Rendition, compress
from shared.renditions.poster import POSTER_SIDE, poster

LIMITS = Limits(memory=3 * 1024**3, processor_s=2 * 3600, answer_s=600.0)
"""Encoding takes longer than decoding, and some hundreds of megabytes where there are many cores."""


class _Wanted(msgspec.Struct, frozen=True):
    quality: Quality
    poster_side: int
    poster_at: float | None


class _Made(msgspec.Struct, frozen=True):
    rendition: Rendition
    poster: bytes


def copies(
    source: Video,
    target: BinaryIO,
    quality: Quality = WATCHABLE,
    progress: Progress = lambda done: None,
    limits: Limits = LIMITS,
    *,
    poster_side: int = POSTER_SIDE,
    poster_at: float | None = None,
) -> tuple[Rendition, bytes]:
    """Write the copy to watch to ``target``, a file that can be read back; what it is like, and the poster (JPEG).

    The poster has ``poster_side`` pixels on its longer side and shows the second ``poster_at``, see :func:`poster`.
    Raises what :func:`workshop.make` raises.
    """
    wanted = _Wanted(quality, poster_side, poster_at)
    made = workshop.make(__spec__.name, source, target, wanted, _Made, limits, progress)
    return made.rendition, made.poster


def _made(video: BinaryIO, target: BinaryIO, wanted: _Wanted, progress: Progress) -> _Made:
    still = poster(video, wanted.poster_side, wanted.poster_at)
    return _Made(compress(video, target, wanted.quality, progress), still)


if __name__ == "__main__":
    workshop.serve(int(sys.argv[1]), _Wanted, _made, Image.init)
