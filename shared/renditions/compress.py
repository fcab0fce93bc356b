"""The copy that people watch: H.264 and AAC in an MP4 whose index lies in front."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import msgspec
from av.video.frame import PictureType

from shared.evidence.media import Video
from shared.renditions.muxer import muxer
from shared.renditions.sound import Sound
from shared.renditions.source import Source
from shared.renditions.upright import Upright

Progress = Callable[[float], None]
"""Told the fraction that is done, 0.0 to 1.0, at most once for each hundredth."""


class Quality(msgspec.Struct, frozen=True):
    """How a copy is compressed.

    ``long_side`` is the most pixels along the longer side, ``fps`` the most frames a second, ``crf`` the
    constant rate factor of H.264 (0 to 51, lower is better), ``video_rate`` the cap in bits a second over
    two seconds, ``audio_rate`` the AAC rate in bits a second for each channel. ``begin`` and ``seconds`` say which part
    of the video: where it is too short for that, what there is. In each of ``mutes``, (from, to) in seconds of the
    video, there is no sound.
    """

    long_side: int = 1280
    fps: int = 30
    crf: int = 26
    preset: str = "veryfast"
    video_rate: int = 2_000_000
    audio_rate: int = 64_000
    begin: float = 0.0
    seconds: float = math.inf
    mutes: tuple[tuple[float, float], ...] = ()


WATCHABLE = Quality()
"""720p at no more than 2 Mbit/s: plays over 3G, and every face and tag can still be made out."""


class Rendition(msgspec.Struct, frozen=True):
    """What was made: its size in pixels, its length, whether there is sound."""

    width: int
    height: int
    seconds: float
    sound: bool


def compress(source: Video, target: BinaryIO, quality: Quality = WATCHABLE,
             progress: Progress | None = None) -> Rendition:
    """Write the copy of ``source`` to ``target``, which is read back at the end to bring the index to the front.

    A video without sound gives a copy without sound; stretches that cannot be decoded are left out. Raises
    ``file_empty``, ``not_a_video``, or ``file_damaged`` when not one frame can be shown; ``target`` is then
    untouched.
    """
    with Source.opened(source) as peeked:
        upright = Upright(peeked.first(), quality.long_side, peeked.video.sample_aspect_ratio)
    with Source.opened(source) as original, muxer(target) as out:
        picture = _Picture(out, original.video, upright, quality)
        sound = Sound(out, original.audio, quality.audio_rate) if original.audio is not None else None
        report = _Report(progress, original.seconds)
        for stream, frame in _part(original, quality):
            if stream is original.video:
                picture.put(frame)
                report(frame.time)
            elif sound is not None:
                sound.put(frame)
        picture.end()
        if sound is not None:
            sound.end()
    if progress is not None:
        progress(1.0)
    return Rendition(upright.width, upright.height, picture.seconds, sound is not None and sound.heard)


def _part(original: Source, quality: Quality) -> Iterator[tuple[Any, Any]]:
    """The frames of the part that is wanted, with its beginning as the moment 0."""
    streams = [stream for stream in (original.video, original.audio) if stream is not None]
    begin = quality.begin if quality.begin < original.seconds else 0.0
    if begin:
        original.seek(begin)
    for stream, frame in original.frames(*streams):
        if stream is original.audio:
            _mute(frame, quality.mutes)
        if stream is original.video and (frame.time or 0.0) >= begin + quality.seconds:
            return
        if begin:
            if frame.time is None or frame.time < begin:
                continue
            frame.pts -= round(begin / frame.time_base)
        yield stream, frame


def _mute(frame: Any, mutes: Sequence[tuple[float, float]]) -> None:
    """Silence a frame of sound, some hundredths of a second, that lies in one of the stretches or at its border."""
    begin = frame.time or 0.0
    end = begin + frame.samples / frame.sample_rate
    if any(begin < stop and start < end for start, stop in mutes):
        silence = b"\x80" if frame.format.name.startswith("u8") else b"\0"
        for plane in frame.planes:
            plane.update(silence * plane.buffer_size)


class _Picture:
    """Frames in, H.264 packets out."""

    _CLOCK = Fraction(1, 90_000)

    def __init__(self, out: Any, source: Any, upright: Upright, quality: Quality) -> None:
        rate = min(source.average_rate or Fraction(quality.fps), Fraction(quality.fps))
        self._out = out
        self._upright = upright
        self._frame_time = float(1 / rate)
        # Three quarters of a frame's time, so that jitter passes and 60 frames a second become 30.
        self._least_gap = 0.75 / quality.fps
        self._last = -self._least_gap
        self._stream = out.add_stream("libx264", rate=rate, options={
            "crf": str(quality.crf),
            "preset": quality.preset,
            "maxrate": str(quality.video_rate),
            "bufsize": str(quality.video_rate * 2),
        })  # fmt: skip
        self._stream.width, self._stream.height, self._stream.pix_fmt = upright.width, upright.height, "yuv420p"
        self._stream.codec_context.time_base = self._CLOCK
        self._stream.codec_context.gop_size = round(rate * 2)  # a place to jump to every two seconds

    @property
    def seconds(self) -> float:
        return self._last + self._frame_time

    def put(self, frame: Any) -> None:
        if frame.pts is None or frame.time < self._last + self._least_gap:
            return
        upright = self._upright(frame)
        upright.pict_type = PictureType.NONE  # the encoder chooses its own key frames
        self._out.mux(self._stream.encode(upright))
        self._last = frame.time

    def end(self) -> None:
        self._out.mux(self._stream.encode(None))


class _Report:
    """Turns the time of the frame at hand into progress."""

    def __init__(self, progress: Progress | None, seconds: float) -> None:
        self._progress = progress
        self._seconds = seconds
        self._told = 0.0

    def __call__(self, time: float | None) -> None:
        if self._progress is None or time is None or not self._seconds:
            return
        done = min(time / self._seconds, 0.99)
        if done >= self._told + 0.01:
            self._told = done
            self._progress(done)
