"""What a simulated camera has filmed: its pictures say when."""

from __future__ import annotations

import io
import time

import av

from edge.recorder.simulated import BITS


def clock_ms() -> int:
    """The clock that the simulated camera films."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def shown(frame: av.VideoFrame) -> int:
    """The milliseconds that a simulated camera has filmed."""
    grey = frame.to_ndarray(format="gray")
    side = frame.width // BITS
    squares = grey[-side:, : side * BITS].reshape(side, BITS, side).mean(axis=(0, 2))
    return int("".join(str(int(square > 128)) for square in squares), 2)


def watched(film: bytes) -> list[tuple[float, int]]:
    """Each picture of a film, decoded to its end: when it is shown, and what its clock says."""
    with av.open(io.BytesIO(film)) as container:
        return [(frame.time, shown(frame)) for frame in container.decode(video=0)]
