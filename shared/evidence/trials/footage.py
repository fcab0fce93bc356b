"""Pictures as they come out of a compressed video."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE = 25


def sent(pictures: Sequence[NDArray[np.uint8]], crf: int = 25) -> Iterator[Any]:
    """The frames of ``pictures`` (RGB), after H.264."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        height, width = pictures[0].shape[:2]
        stream = out.add_stream("libx264", rate=RATE, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as back:
        yield from back.decode(video=0)
