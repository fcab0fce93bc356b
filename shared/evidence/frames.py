"""One picture a second out of a video, decoding no more than that needs."""

from __future__ import annotations

from collections.abc import Iterator

import av
import av.error
import msgspec
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from shared.errors import QurbaniError
from shared.evidence.media import LONGEST_S, UNREADABLE, video_stream

STEP_S = 1.0

MOST_PIXELS = 8192 * 4320
"""Of one picture: 8K."""

_TOLERANCE_S = 0.1
"""A picture this much before its second will do. Key frames often stand just there."""

_COARSE = 3
"""Scaled down this much, what the deblocking filter smooths is smaller than a pixel (measured: 39 dB PSNR and more,
also 250 pictures after a key frame)."""

_SHORT_S = 1.0
"""A stream may end this much before the length that its file declares."""


class Fit(msgspec.Struct, frozen=True):
    """What a detector wants: pictures within ``width`` x ``height``, their ``pixels`` as ``bgr24`` or ``rgb24``, one
    each ``step`` seconds."""

    width: int
    height: int
    pixels: str
    step: float = STEP_S

    @property
    def most(self) -> int:
        """Pictures of one video at the most."""
        return round(LONGEST_S / self.step)


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """A sampled picture: seconds from the start, and ``height`` rows of ``width`` pixels of three bytes."""

    time: float
    width: int
    height: int
    data: bytes

    def array(self) -> NDArray[np.uint8]:
        """The pixels as ``[height, width, 3]``."""
        return np.frombuffer(self.data, np.uint8).reshape(self.height, self.width, 3)


def sample(container: InputContainer, fit: Fit) -> Iterator[Picture]:
    """The picture at each step, upright, scaled to lie within ``fit``.

    Raises ``file_damaged`` after the last good picture when the stream cannot be decoded or ends early,
    ``too_long`` after ``fit.most`` pictures, and ``too_demanding`` for pictures of more than
    :data:`MOST_PIXELS`.
    """
    stream = video_stream(container)
    if stream is None:
        return
    if stream.width * stream.height > MOST_PIXELS:
        raise QurbaniError("too_demanding", f"its pictures are {stream.width} x {stream.height}")
    # Its pictures may be larger than the file says.
    options = {"max_pixels": str(MOST_PIXELS)}
    if stream.width >= _COARSE * fit.width:
        options["skip_loop_filter"] = "all"
    stream.codec_context.options = options
    reader = _Reader(container, stream)
    due, taken, tolerance = 0.0, 0, min(_TOLERANCE_S, fit.step / 4)
    for time, frame in reader.frames():
        if time + tolerance < due:
            continue
        if taken == fit.most:
            raise QurbaniError("too_long")
        yield _picture(frame, time, fit)
        taken += 1
        due = ((time + tolerance) // fit.step + 1) * fit.step
        reader.skip_to(due)
    if not taken:
        raise QurbaniError("file_damaged", "not one picture can be decoded")
    reader.check_whole()


class _Reader:
    """Decodes one stream and can leave out what lies before a time.

    Two savings, both exact: pictures that no other picture refers to are not decoded, and neither is what lies
    between a wanted time and the last key frame before the next one (where the file has an index of its key
    frames). Times are seconds from the stream's start.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._tick = float(stream.time_base or 1)
        self._origin = stream.start_time or 0
        whole = (container.duration or 0) / av.time_base
        self._declared = stream.duration or round(whole / self._tick)
        self._keys = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
        self._at = self._end = self._origin
        self._resume: int | None = None
        self._broken = False
        stream.codec_context.skip_frame = "NONREF"
        stream.codec_context.thread_count = 1  # the other cores look and listen meanwhile

    def frames(self) -> Iterator[tuple[float, VideoFrame]]:
        for packet in self._packets():
            if self._resume is not None:
                if packet.dts is None or packet.dts < self._resume or not packet.is_keyframe:
                    continue
                self._stream.codec_context.flush_buffers()
                self._resume = None
            for frame in self._decoded(packet):
                if frame.pts is not None:
                    yield (frame.pts - self._origin) * self._tick, frame

    def skip_to(self, time: float) -> None:
        """Go on at the last key frame that serves ``time``, if that is further on than here."""
        if self._declared and time >= self._declared * self._tick:
            self._resume = self._origin + self._declared  # nothing more to see, only whether the end is there
            return
        latest = self._origin + (time + _TOLERANCE_S) / self._tick
        key = max((key for key in self._keys if key <= latest), default=self._at)
        if key > self._at:
            self._resume = key

    def check_whole(self) -> None:
        """Raises ``file_damaged`` when something could not be decoded or the end is missing."""
        seen = self._end - self._origin
        if self._broken or (self._declared - seen) * self._tick > _SHORT_S:
            raise QurbaniError("file_damaged", f"the picture breaks or ends within {seen * self._tick:.1f} s")

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        try:
            for packet in self._container.demux(self._stream):
                if packet.dts is not None:
                    self._at = packet.dts
                    self._end = max(self._end, packet.dts + (packet.duration or 0))
                yield packet
        except UNREADABLE:
            self._broken = True

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.error.MemoryError as error:
            raise QurbaniError("too_demanding", "a picture is too large") from error
        except UNREADABLE:
            self._broken = True
            return []


def _picture(frame: VideoFrame, time: float, fit: Fit) -> Picture:
    turns = round(frame.rotation / 90) % 4  # counter-clockwise
    width, height = (fit.height, fit.width) if turns % 2 else (fit.width, fit.height)
    scale = min(width / frame.width, height / frame.height)
    small = frame.reformat(
        max(1, round(frame.width * scale)), max(1, round(frame.height * scale)), fit.pixels, interpolation="BILINEAR"
    ).to_ndarray()
    upright = np.rot90(small, turns)
    return Picture(time, upright.shape[1], upright.shape[0], upright.tobytes())
