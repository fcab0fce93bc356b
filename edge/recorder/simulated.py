"""A camera where there is none: it films the clock of the machine, and beeps at each full second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import count

import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from edge.recorder.address import Address
from edge.recorder.tracks import Pictures, Piece, Sounds, Tracks

SIZE, RATE = (320, 180), 10
"""Of the picture, unless the address says otherwise."""

BITS = 40
"""Along the lower edge stand so many squares: the milliseconds of the clock in binary, white for 1, highest first."""

SOUND_RATE, HERTZ, BEEP_MS = 16_000, 440, 200


def clock(tracks: Tracks, address: Address) -> Iterator[Piece]:
    """Picture by picture as time goes, in microseconds of the machine's clock."""
    width, height = address.size or SIZE
    rate = int(address.options.get("rate", RATE))
    pictures, sounds = tracks.drawing(width, height, rate), tracks.speaking(SOUND_RATE, 1)
    tracks.fix()
    return _paced(pictures, sounds, width, height, rate)


def _paced(pictures: Pictures, sounds: Sounds, width: int, height: int, rate: int) -> Iterator[Piece]:
    for piece in ticking(pictures, sounds, width, height, rate, now_us()):
        time.sleep(max(0, piece.dts - now_us()) / 1e6)
        yield piece


def ticking(
    pictures: Pictures, sounds: Sounds, width: int, height: int, rate: int, begin: int, seconds: int | None = None
) -> Iterator[Piece]:
    """The film of ``seconds`` (None: without end) from the microsecond ``begin`` on."""
    samples = SOUND_RATE // rate
    for number in count() if seconds is None else range(seconds * rate):
        due = begin + number * 1_000_000 // rate
        shown = VideoFrame.from_ndarray(picture(due // 1000, width, height), format="rgb24")
        yield from pictures.draw(shown, due)
        heard = AudioFrame.from_ndarray(_sound(due // 1000, samples), format="s16", layout="mono")
        heard.sample_rate, heard.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
        heard.pts = begin * SOUND_RATE // 1_000_000 + number * samples
        yield from sounds.say(heard)


def now_us() -> int:
    """The clock that :class:`shared.clock.SystemClock` calls ``mono_ms``, finer."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def picture(ms: int, width: int, height: int) -> NDArray[np.uint8]:
    """``[height, width, 3]``: a field of dots that a bar wanders over, and the clock in squares."""
    shown = np.full((height, width, 3), (96, 128, 112), np.uint8)
    shown[::16, ::16] = 224
    shown[: height // 2, ms // 10 % width :][:, :8] = 240
    bits = np.array([ms >> (BITS - 1 - place) & 1 for place in range(BITS)], np.uint8)
    side = width // BITS
    shown[height - side :, : side * BITS] = np.repeat(bits * 255, side)[None, :, None]
    return shown


def _sound(ms: int, samples: int) -> NDArray[np.int16]:
    """``[1, samples]`` from the millisecond on."""
    times = ms / 1000 + np.arange(samples) / SOUND_RATE
    loud = np.where(times % 1 < BEEP_MS / 1000, 8000, 20)
    return (loud * np.sin(2 * np.pi * HERTZ * times)).astype(np.int16)[None]
