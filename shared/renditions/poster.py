"""The picture that stands for a video until it plays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from shared.evidence.media import Video
from shared.renditions.source import Source
from shared.renditions.upright import Upright

POSTER_SIDE = 960
CANDIDATES = 5


def poster(source: Video, long_side: int = POSTER_SIDE, at: float | None = None) -> bytes:
    """A JPEG of the frame at ``at`` seconds; of None, of the most detailed of a few out of the first third: not the
    black lead-in, not yet the cut.

    Raises ``file_empty``, ``not_a_video``, or ``file_damaged`` when no frame can be decoded.
    """
    with Source.opened(source) as original:
        best = max(_early_frames(original), key=_detail) if at is None else _frame_at(original, at)
        upright = Upright(best, long_side, original.video.sample_aspect_ratio)
        out = io.BytesIO()
        upright(best).to_image().save(out, "JPEG", quality=82, progressive=True, optimize=True)
        return out.getvalue()


def _early_frames(original: Source) -> Iterator[Any]:
    yield original.first()
    for part in range(1, CANDIDATES):
        original.seek(original.seconds / 3 * part / CANDIDATES)
        for _, frame in original.frames(original.video):
            yield frame
            break


def _frame_at(original: Source, seconds: float) -> Any:
    """The first frame from there on; of a video that ends before, its last one."""
    best = original.first()
    original.seek(seconds)
    for _, frame in original.frames(original.video):
        best = frame
        if frame.time is not None and frame.time >= seconds:
            break
    return best


def _detail(frame: Any) -> float:
    """How much there is to see: the spread of the brightness over a small grey copy."""
    return float(frame.reformat(width=160, height=90, format="gray").to_ndarray().std())
