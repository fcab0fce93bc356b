"""How much painted blood is blurred, how much else, and how still the mask holds, beside the rule of hue.

The weights and thresholds were set on seeds below 5,000; films are judged from 1,000,000 on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.errors import QurbaniError
from shared.evidence.media import opened, video_stream
from shared.evidence.redact import masks
from shared.evidence.steady import Mask
from shared.evidence.trials.footage import RATE, sent
from shared.evidence.trials.gore import FRINGE, KINDS, Kind, Shot, film
from shared.evidence.trials.scenery import Clips, Grounds

JUDGED = 1_000_000
"""The first seed of the films that are judged on."""

_HARDLY = 0.5  # a picture in which less than this share of the blood is covered shows it

Say = Callable[[float], None]


class Score(msgspec.Struct, frozen=True):
    """``recall`` is the share of bloody pixels that is covered, ``shown`` the share of pictures with blood in which
    less than half of it is; ``other`` the mean share of all other pixels that is covered, ``worst`` that of the worst
    film; ``of`` the share of each look-alike; ``flips`` how often a second a covered pixel changes although what is
    there does not."""

    recall: float
    shown: float
    other: float
    worst: float
    of: dict[Kind, float]
    flips: float


class Report(msgspec.Struct, frozen=True):
    """Ours beside the rule of hue, on the same films."""

    grounds: str
    films: int
    pictures: int
    blood: float
    ours: Score
    rule: Score


class _Tally:
    """Sums up how well masks cover what they should."""

    def __init__(self) -> None:
        self._covered = dict.fromkeys(KINDS, 0)
        self._there = dict.fromkeys(KINDS, 0)
        self._shares: list[list[float]] = []
        self._bloody = self._shown = 0
        self._flips = self._masked = 0
        self._before: tuple[Shot, Mask] | None = None

    def begin(self) -> None:
        self._before = None
        self._shares.append([])

    def put(self, shot: Shot, mask: Mask) -> None:
        for kind in KINDS:
            where = shot.shows(kind)
            self._there[kind] += int(where.sum())
            self._covered[kind] += int(mask[where].sum())
        blood = shot.shows("blood")
        if blood.any():
            self._bloody += 1
            self._shown += bool(mask[blood].mean() < _HARDLY)
        self._shares[-1].append(float(mask[~blood & (shot.truth != FRINGE)].mean()))
        if self._before:
            shot_before, mask_before = self._before
            same = blood == shot_before.shows("blood")
            self._flips += int(((mask != mask_before) & same).sum())
            self._masked += int(mask.sum())
        self._before = shot, mask

    def score(self) -> Score:
        films = [float(np.mean(shares)) for shares in self._shares]
        rate = {kind: self._covered[kind] / max(self._there[kind], 1) for kind in KINDS}
        return Score(rate["blood"], self._shown / max(self._bloody, 1), float(np.mean(films)), max(films),
                     {kind: rate[kind] for kind in KINDS if kind != "blood"},
                     RATE * self._flips / max(self._masked, 1))  # fmt: skip

    @property
    def blood(self) -> int:
        return self._there["blood"]


def judge(name: str, grounds: Grounds, seeds: Sequence[int], size: tuple[int, int], seconds: float,
          say: Say = lambda done: None) -> Report:
    """Films of ``size`` on ``grounds``, compressed as videos are, decoded, and masked both ways."""
    ours, rule, pictures = _Tally(), _Tally(), 0
    for index, seed in enumerate(seeds):
        shots = list(film(seed, grounds, size, round(seconds * RATE)))
        ours.begin()
        rule.begin()
        frames = list(sent([shot.picture for shot in shots]))
        for shot, frame, mask in zip(shots, frames, masks(iter(frames)), strict=True):
            ours.put(shot, np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)))
            rule.put(shot, by_hue(frame.to_ndarray(format="rgb24")))
            pictures += 1
        say((index + 1) / len(seeds))
    return Report(name, len(seeds), pictures, ours.blood / (pictures * size[0] * size[1]), ours.score(), rule.score())


def by_hue(picture: NDArray[np.uint8]) -> Mask:
    """The usual rule: red by hue in two ranges, saturated and not too dark, grown by a square of 25 pixels.

    What it covers is then blurred with a Gaussian of 71 pixels. Hue as OpenCV counts it (0 to 180): up to 10 and
    from 170, saturation from 120, value from 70 (of 255), as the tutorials have it. The square is taken for one of a
    picture 1280 pixels wide and made smaller with smaller pictures, which is in the rule's favour.
    """
    hue, saturation, value = np.moveaxis(np.asarray(Image.fromarray(picture).convert("HSV")), 2, 0)
    degrees = hue.astype(np.float32) * 180 / 255
    red = ((degrees <= 10) | (degrees >= 170)) & (saturation >= 120) & (value >= 70)
    reach = max(round(12 * picture.shape[1] / 1280), 1)
    return _wide(_wide(red, reach, 0), reach, 1)


def _wide(mask: Mask, by: int, axis: int) -> Mask:
    sums = np.cumsum(np.pad(mask, [(by + 1, by) if at == axis else (0, 0) for at in (0, 1)]), axis=axis, dtype=np.int32)
    length = mask.shape[axis]
    wide: Mask = sums.take(range(2 * by + 1, 2 * by + 1 + length), axis) > sums.take(range(length), axis)
    return wide


def shows(path: Path) -> bool:
    """Whether a file is a video with a picture in it."""
    try:
        with opened(path) as container:
            return video_stream(container) is not None
    except QurbaniError:
        return False


def clips(paths: Sequence[Path], most: int = 60) -> Clips:
    """Grounds out of video files: small pictures of their first seconds."""
    found = []
    for path in paths:
        with av.open(str(path)) as container:
            frames = (frame for frame, _ in zip(container.decode(video=0), range(most), strict=False))
            pictures = [frame.reformat(640, 360, "rgb24", interpolation="AREA").to_ndarray() for frame in frames]
            found.append([Image.fromarray(picture) for picture in pictures])
    return Clips(found)
