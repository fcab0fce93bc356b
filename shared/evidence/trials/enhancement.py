"""What denoising and enlarging gives back of a picture that was made small, noisy and compressed.

The degradation: a clean film is halved (mean of 2 x 2), given Gaussian noise as a small sensor has it in low light, or
half as much of it, and compressed with H.264. Brightness is compared with the clean film, picture by picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import av
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.evidence.enhance import Enhancement
from shared.evidence.trials.footage import RATE, sent
from shared.evidence.trials.gore import film
from shared.evidence.trials.scenery import Grounds

Noise = tuple[float, float]
"""Grey levels in brightness (the same in all channels), and in each channel by itself."""

NOISES: dict[str, Noise] = {"strong": (12.0, 4.0), "faint": (0.0, 10.0)}

JUDGED = 2_000_000
"""The first seed of the films that are judged on; settings were chosen on others."""

Plane = NDArray[Any]
Say = Callable[[float], None]


class Quality(msgspec.Struct, frozen=True):
    """Means over all pictures: peak signal to noise in decibels, structural similarity."""

    psnr: float
    ssim: float


class Report(msgspec.Struct, frozen=True):
    """Each way of enlarging the same degraded films; ``cost`` in seconds of work for a second of the small film."""

    noise: str
    films: int
    pictures: int
    size: tuple[int, int]
    crf: int
    ways: dict[str, Quality]
    cost: float


def judge(grounds: Grounds, seeds: Sequence[int], size: tuple[int, int], count: int, crf: int, noise: str,
          say: Say = lambda done: None) -> Report:
    """``count`` pictures of ``size`` of each film, with a ``noise`` of :data:`NOISES`, compressed at ``crf`` (12:
    hardly, 24: as phones do)."""
    found: dict[str, list[Quality]] = {"bilinear": [], "bicubic": [], "Lanczos": [], "enhanced": []}
    spent = 0.0
    for index, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        clean = [shot.picture for shot in film(seed, grounds, size, count, bloody=False, clean=True)]
        small = list(sent([_noisy(picture, NOISES[noise], rng) for picture in clean], crf))
        begun = time.process_time()
        enhanced = list(_enhanced(small))
        spent += time.process_time() - begun
        for picture, before, after in zip(clean, small, enhanced, strict=True):
            truth = _brightness(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p"))
            for way, filtered in _WAYS.items():
                found[way].append(_quality(truth, _enlarged(_brightness(before), size, filtered)))
            found["enhanced"].append(_quality(truth, _brightness(after)))
        say((index + 1) / len(seeds))
    ways = {way: Quality(float(np.mean([one.psnr for one in each])), float(np.mean([one.ssim for one in each])))
            for way, each in found.items()}  # fmt: skip
    return Report(noise, len(seeds), len(seeds) * count, size, crf, ways, spent / (len(seeds) * count / RATE))


_WAYS = {
    "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "Lanczos": Image.Resampling.LANCZOS,
}  # fmt: skip


def _noisy(picture: NDArray[np.uint8], noise: Noise, rng: np.random.Generator) -> NDArray[np.uint8]:
    small = np.asarray(Image.fromarray(picture).reduce(2), np.float32)
    grain = rng.normal(0, noise[0], small.shape[:2])[..., None] + rng.normal(0, noise[1], small.shape)
    return np.clip(small + grain, 0, 255).astype(np.uint8)


def _enhanced(frames: Sequence[Any]) -> Iterator[Any]:
    stage = Enhancement().stage(frames[0].width, frames[0].height)
    for frame in frames:
        yield from stage.put(frame)
    yield from stage.end()


def _enlarged(plane: Plane, size: tuple[int, int], way: Image.Resampling) -> Plane:
    return np.asarray(Image.fromarray(plane).resize(size, way))


def _brightness(frame: Any) -> Plane:
    plane: Plane = frame.to_ndarray()[: frame.height].astype(np.float32)
    return plane


def _quality(truth: Plane, other: Plane) -> Quality:
    error = float(np.mean((truth - np.clip(other, 0, 255)) ** 2))
    return Quality(float(10 * np.log10(255**2 / max(error, 1e-9))), ssim(truth, other))


def ssim(one: Plane, other: Plane) -> float:
    """Structural similarity (Wang and others, 2004) over squares of 7 x 7, of values to 255."""
    mean_one, mean_other = _squares(one), _squares(other)
    var_one = _squares(one * one) - mean_one**2
    var_other = _squares(other * other) - mean_other**2
    both = _squares(one * other) - mean_one * mean_other
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_one * mean_other + first) * (2 * both + second)
    return float(np.mean(top / ((mean_one**2 + mean_other**2 + first) * (var_one + var_other + second))))


def _squares(plane: Plane) -> Plane:
    sums = np.pad(plane.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    squares: Plane = (sums[7:, 7:] - sums[:-7, 7:] - sums[7:, :-7] + sums[:-7, :-7]) / 49
    return squares
