"""The sound of a video as plain samples, and where in it somebody may be speaking."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from numpy.typing import NDArray

from shared.errors import QurbaniError
from shared.evidence.media import LONGEST_S, UNREADABLE, audio_stream

RATE = 16_000
"""Samples per second that every recogniser here is trained on."""

Samples = NDArray[np.int16]

_SHORT_S = 1.0
_FRAME = 480  # 30 ms
_BAND_HZ = (200, 4000)
_OVER_NOISE_DB = 6.0
_AUDIBLE_DB = -60.0
_MUTED_DB = -66.0
_SHORTEST_S = 0.15
_MARGIN_S = 0.3


class Sound(msgspec.Struct, frozen=True, tag="sound"):
    """A piece of the sound: 16 kHz mono, 16 bit, in the machine's byte order. Pieces follow one another."""

    data: bytes

    def samples(self) -> Samples:
        return np.frombuffer(self.data, np.int16)


class Span(msgspec.Struct, frozen=True):
    """A stretch of sound in which somebody may be speaking; ``start`` in seconds."""

    start: float
    samples: Samples


class Speech(msgspec.Struct, frozen=True):
    """The stretches, and by how many decibels the voice stands out of the noise."""

    spans: tuple[Span, ...]
    over_noise: float


def listen(container: InputContainer) -> Iterator[Sound]:
    """The first sound track as 16 kHz mono.

    Raises ``file_damaged`` after the last good piece when it cannot be decoded or ends early, and ``too_long``
    after :data:`LONGEST_S`.
    """
    stream = audio_stream(container)
    if stream is None:
        return
    resampler = AudioResampler("s16", "mono", RATE)
    heard, broken = 0, False
    packets = container.demux(stream)
    while True:
        try:
            pieces = [piece for frame in next(packets).decode() for piece in resampler.resample(frame)]
        except StopIteration:
            break
        except (*UNREADABLE, ValueError):  # the latter when the kind of sound changes midway
            broken = True
            break
        for piece in pieces:
            heard += piece.samples
            if heard > LONGEST_S * RATE:
                raise QurbaniError("too_long")
            yield Sound(piece.to_ndarray().tobytes())
    declared = (stream.duration or 0) * float(stream.time_base or 0)
    if broken or declared - heard / RATE > _SHORT_S:
        raise QurbaniError("file_damaged", f"the sound breaks or ends at {heard / RATE:.1f} s")


def muted(samples: Samples) -> bool:
    """Whether the microphone was off: digital silence, or next to it, from end to end."""
    return not samples.size or float(_decibels(np.max(np.abs(samples.astype(np.float32))))) < _MUTED_DB


def speech(samples: Samples) -> Speech:
    """Where somebody may be speaking: louder, in the band of speech, than the quiet moments of this recording.

    A gate, not a judge: it spares the recogniser the silence (in which recognisers invent words) and lets
    everything else through. The noise is the level that one moment in seven stays under, the voice the one
    that one in twenty exceeds.
    """
    if len(samples) < _FRAME:
        return Speech((), 0.0)
    level = np.convolve(_levels(samples), np.ones(3) / 3, mode="same")
    noise, voice = np.percentile(level, (15, 95)).tolist()
    loud = level > max(noise + _OVER_NOISE_DB, _AUDIBLE_DB)
    stretches = _stretches(loud, len(samples))
    return Speech(tuple(Span(start / RATE, samples[start:end]) for start, end in stretches), voice - noise)


def _levels(samples: Samples) -> NDArray[np.float32]:
    """The level of each 30 ms between 200 and 4000 Hz, in decibels against full scale."""
    count = len(samples) // _FRAME
    frames = samples[: count * _FRAME].reshape(count, _FRAME).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(_FRAME).astype(np.float32), axis=1))
    hertz = np.fft.rfftfreq(_FRAME, 1 / RATE)
    band = spectrum[:, (hertz >= _BAND_HZ[0]) & (hertz <= _BAND_HZ[1])]
    # Parseval over one side of the spectrum; the Hann window keeps 3/8 of the power.
    return _decibels(np.sqrt(2 * (band**2).sum(axis=1) / (0.375 * _FRAME**2)))


def _decibels(level: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    """Against full scale of 16 bit; nothing at all is -120."""
    return np.asarray(20 * np.log10(np.maximum(level / 32768, 1e-6)), np.float32)


def _stretches(loud: NDArray[np.bool_], total: int) -> list[tuple[int, int]]:
    """First and last sample of each loud stretch, with a margin; what is less than two margins apart is one."""
    edges = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0)).reshape(-1, 2) * _FRAME
    margin = int(_MARGIN_S * RATE)
    merged: list[tuple[int, int]] = []
    for first, last in edges[edges[:, 1] - edges[:, 0] >= _SHORTEST_S * RATE].tolist():
        start, end = max(first - margin, 0), min(last + margin, total)
        if merged and start <= merged[-1][1]:
            start, _ = merged.pop()
        merged.append((start, end))
    return merged
