"""Blurs blood and wounds, and the faces of bystanders when asked to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.domain.verdict import Frame
from shared.evidence.blood import SIDE, blood
from shared.evidence.bystanders import faces
from shared.evidence.steady import Mask, Steady

SUFFIX = "_blurred"

_GRAINS = 40
"""What is blurred keeps this many spots along the longer side: enough to see that something lies there."""


class Redaction(msgspec.Struct, frozen=True, tag="redaction"):
    """What to blur. With ``bystanders``, also the faces of persons who are not near the animal, as ``seen`` by a
    detector in sampled pictures (:func:`shared.evidence.scene.look`)."""

    bystanders: bool = False
    seen: tuple[Frame, ...] = ()

    def stage(self, width: int, height: int) -> Redactor:
        return Redactor(self, (width, height))

    @property
    def settings(self) -> str:
        return "blood, bystanders" if self.bystanders else "blood"


class Redactor:
    """Frames in (upright, planar 4:2:0), the same frames out, a few later, with what must not be seen blurred."""

    def __init__(self, redaction: Redaction, size: tuple[int, int]) -> None:
        self.size = size
        self._redaction = redaction
        self._steady = Steady()
        self._waiting: deque[Any] = deque()

    def put(self, frame: Any) -> Iterator[Any]:
        self._waiting.append(frame)
        yield from self._redacted(self._steady.put(*_seen(frame)))

    def end(self) -> Iterator[Any]:
        yield from self._redacted(self._steady.end())

    def _redacted(self, masks: Iterator[Mask]) -> Iterator[Any]:
        for mask in masks:
            frame = self._waiting.popleft()
            if self._redaction.bystanders:
                mask |= faces(self._redaction.seen, frame.time, mask.shape)
            yield blurred(frame, mask) if mask.any() else frame


def masks(frames: Iterator[Any]) -> Iterator[Mask]:
    """What would be blurred in each of ``frames``: small masks of their shape, True where there is blood."""
    steady = Steady()
    for frame in frames:
        yield from steady.put(*_seen(frame))
    yield from steady.end()


def _seen(frame: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The likeness to blood and the brightness of a small copy of the frame."""
    scale = SIDE / max(frame.width, frame.height)
    width, height = (max(round(side * scale), 16) for side in (frame.width, frame.height))
    picture = frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
    return blood(picture), picture.mean(axis=2, dtype=np.float32)


def blurred(frame: Any, mask: Mask) -> Any:
    """The frame, coarse where the mask (of any size) is True, with a soft border."""
    grain = max(frame.width, frame.height) / _GRAINS
    width, height = (max(round(side / grain), 2) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, interpolation="AREA")
    coarse = small.reformat(frame.width, frame.height, interpolation="BICUBIC").to_ndarray()
    sharp = frame.to_ndarray()
    share = av.VideoFrame.from_ndarray(mask.astype(np.uint8) * 255, format="gray")
    for ours, theirs in zip(_planes(sharp, frame), _planes(coarse, frame), strict=True):
        height, width = ours.shape
        _mix(ours, theirs, share.reformat(width, height, interpolation="BILINEAR").to_ndarray())
    out = av.VideoFrame.from_ndarray(sharp, format="yuv420p")
    out.pts, out.time_base = frame.pts, frame.time_base
    out.colorspace, out.color_range = frame.colorspace, frame.color_range
    return out


def _planes(array: NDArray[np.uint8], frame: Any) -> Iterator[NDArray[np.uint8]]:
    """The brightness and the two colours of half its sides, as views of an array of PyAV."""
    flat, size = array.reshape(-1), frame.width * frame.height
    yield flat[:size].reshape(frame.height, frame.width)
    for first in (size, size + size // 4):
        yield flat[first : first + size // 4].reshape(frame.height // 2, frame.width // 2)


def _mix(sharp: NDArray[np.uint8], coarse: NDArray[np.uint8], share: NDArray[Any]) -> None:
    """``share`` of 255 parts of ``coarse`` into ``sharp``, in place, where there is any."""
    rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    weight = share[part].astype(np.uint16)
    sharp[part] = ((255 - weight) * sharp[part] + weight * coarse[part] + 127) // 255
