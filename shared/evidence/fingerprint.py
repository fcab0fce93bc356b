"""What stays of a video's picture and sound when it is cut, cropped, mirrored, recoloured, re-encoded or sped up.

Both are seen as patches: the picture of a moment without what stands still around it, and two seconds of the sound as
bands over time without what hums on. The signs of the lowest coefficients of a patch's cosine transform are its
bits, as in other perceptual hashes; what does not change (the place, its machines) is taken out first, so that two
acts at one place have little in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.evidence.decode import Event
from shared.evidence.frames import Fit, Picture
from shared.evidence.sound import RATE, Samples, Sound

STEP_S = 0.125
"""Between two marks, of picture and sound alike."""

FIT = Fit(48, 48, "rgb24", STEP_S)
"""How pictures are to be sampled. Stretched to a square afterwards, so only their content counts."""

BITS = 32

_SIDE = 16  # of a patch
_AROUND_S = 4.0  # what stands still over this long is not part of the act
_FAINT = 2.0  # grey levels: a picture that differs less from those around it shows nothing new
_QUIET = 0.25  # of a bel, likewise
_BANDS_HZ = (200.0, 4000.0)
_WINDOW = 4096
_CROPS = (1.0, 0.9)

Patches = NDArray[Any]
"""``[count, 16, 16]``, 32 bit floats."""


class Marks(msgspec.Struct, frozen=True):
    """Times in seconds; of each time :data:`BITS` bits, and how far each coefficient is from changing its sign."""

    times: NDArray[np.float32]
    bits: NDArray[np.uint32]
    margins: NDArray[np.float32]


class Fingerprint(msgspec.Struct, frozen=True):
    """The marks of one video. ``cropped`` are those of the middle of its picture."""

    picture: Marks
    cropped: Marks
    sound: Marks


def fingerprint(events: Iterable[Event]) -> Fingerprint:
    """Of the events of ``decode(video, FIT)``. Of a video without sound or picture, or in which nothing moves or
    is heard, there are no such marks."""
    times, pictures, pieces = [], [], []
    for event in events:
        match event:
            case Picture():
                times.append(event.time)
                pictures.append(_grey(event))
            case Sound():
                pieces.append(event.samples())
    full, middle = (_pictured(times, pictures, share) for share in _CROPS)
    return Fingerprint(full, middle, _sounded(np.concatenate(pieces) if pieces else np.zeros(0, np.int16)))


def mirrored(marks: Marks) -> Marks:
    """The marks as those of the mirrored picture: every odd wave along a row changes its sign."""
    odd = np.array([column % 2 for _, column in _waves()], np.uint32)
    return Marks(marks.times, marks.bits ^ _packed(odd[None])[0], marks.margins)


def _grey(picture: Picture) -> Patches:
    grey: Patches = picture.array().astype(np.float32).mean(axis=2)
    return grey


def _pictured(times: Sequence[float], pictures: Sequence[Patches], share: float) -> Marks:
    """The marks of the middle ``share`` of the pictures."""
    small = [_small(picture, share) for picture in pictures]
    changing = _changing(np.stack(small)) if small else np.zeros((0, _SIDE, _SIDE), np.float32)
    return _marks(np.array(times, np.float32), changing, _FAINT)


def _small(picture: Patches, share: float) -> Patches:
    height, width = picture.shape
    border = (1 - share) / 2
    box = (width * border, height * border, width * (1 - border), height * (1 - border))
    return np.asarray(Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box))


def _sounded(samples: Samples) -> Marks:
    """The marks of the sound, of the two seconds around each step."""
    levels = _changing(_levels(samples))
    starts = np.arange(max(len(levels) - _SIDE + 1, 0))
    return _marks((starts + _SIDE / 2) * np.float32(STEP_S), levels[starts[:, None] + np.arange(_SIDE)], _QUIET)


def _levels(samples: Samples) -> Patches:
    """``[hops, bands]``: the power in bands of equal musical width, in bel."""
    hop = round(STEP_S * RATE)
    count = max((len(samples) - _WINDOW) // hop + 1, 0)
    frames = samples[np.arange(count)[:, None] * hop + np.arange(_WINDOW)].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1)) ** 2
    edges = np.geomspace(*_BANDS_HZ, _SIDE + 1) * _WINDOW / RATE
    places = np.arange(power.shape[1], dtype=np.float32)
    # A bin counts for a band as far as it lies in it, so that narrow low bands are not empty.
    share = np.clip(np.minimum(places[:, None] + 0.5, edges[1:]) - np.maximum(places[:, None] - 0.5, edges[:-1]), 0, 1)
    levels: Patches = np.log10(power @ share.astype(np.float32) + 1e3)
    return levels


def _changing(rows: Patches) -> Patches:
    """``rows`` less the mean of those around each in time: what stands still or hums on is gone."""
    reach = round(_AROUND_S / STEP_S)
    sums = np.concatenate((np.zeros((1, *rows.shape[1:])), np.cumsum(rows, axis=0, dtype=np.float64)))
    index = np.arange(len(rows))
    low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(rows))
    count = (high - low).reshape(-1, *(1,) * (rows.ndim - 1))
    changing: Patches = (rows - (sums[high] - sums[low]) / count).astype(np.float32)
    return changing


def _marks(times: NDArray[np.float32], patches: Patches, faint: float) -> Marks:
    telling = patches.std(axis=(1, 2)) >= faint
    cosines = _cosines()
    waves = cosines @ patches[telling] @ cosines.T
    rows, columns = zip(*_waves(), strict=True)
    lowest = waves[:, rows, columns]
    return Marks(times[telling], _packed(lowest > 0), np.abs(lowest))


@cache
def _cosines() -> Patches:
    """The matrix of the cosine transform (DCT-II)."""
    index = np.arange(_SIDE)
    matrix: Patches = np.cos(np.pi / _SIDE * (index[None] + 0.5) * index[:, None]).astype(np.float32)
    return matrix


@cache
def _waves() -> tuple[tuple[int, int], ...]:
    """The lowest waves, (down, across), from the lowest on, without the mean."""
    every = ((row, column) for row in range(_SIDE) for column in range(_SIDE) if row or column)
    return tuple(sorted(every, key=lambda wave: (wave[0] ** 2 + wave[1] ** 2, wave))[:BITS])


def _packed(signs: NDArray[Any]) -> NDArray[np.uint32]:
    """``[count, 32]`` to numbers, the lowest wave in the lowest bit."""
    places = np.arange(BITS, dtype=np.uint32)
    bits: NDArray[np.uint32] = (signs.astype(np.uint32) << places).sum(axis=1, dtype=np.uint32)
    return bits
