"""Grounds to film on: made of noise, of photographs, or of clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Shade = NDArray[Any]
"""``[height, width]`` or ``[height, width, 3]``, 0 to 1."""

MARGIN = 1.15
"""A ground is this much larger than the picture, so that the camera may move."""


def noise(rng: np.random.Generator, size: tuple[int, int], grain: float, octaves: int = 3) -> Shade:
    """Smooth noise of about 0 to 1; ``size`` is (width, height), ``grain`` the pixels of its largest spots."""
    total = np.zeros((size[1], size[0]), np.float32)
    weight = 0.0
    for octave in range(octaves):
        step = max(grain / 2**octave, 1.0)
        small = rng.random((int(size[1] / step) + 3, int(size[0] / step) + 3)).astype(np.float32)
        total += np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)) / 2**octave
        weight += 1 / 2**octave
    return total / weight


class Grounds(Protocol):
    """Where a film may be set: the ground of each picture in turn, ``[height, width, 3]``, 0 to 1."""

    def __call__(self, rng: np.random.Generator, size: tuple[int, int], count: int) -> Iterator[Shade]: ...


def made(rng: np.random.Generator, size: tuple[int, int], count: int) -> Iterator[Shade]:
    """Ground of our own: earth, grass, concrete or tiles, a wall behind, patches of other colours."""
    width, height = size
    base = np.array(_GROUNDS[rng.integers(len(_GROUNDS))], np.float32) * rng.uniform(0.7, 1.2)
    still = base * (0.6 + 0.8 * noise(rng, size, rng.uniform(20, 200))[..., None])
    still += 0.25 * (noise(rng, size, rng.uniform(2, 6), 2)[..., None] - 0.5) * base
    if rng.random() < 0.5:
        wall = np.array(_GROUNDS[rng.integers(len(_GROUNDS))], np.float32) * rng.uniform(0.5, 1.2)
        horizon = int(height * rng.uniform(0.15, 0.5))
        still[:horizon] = wall * (0.8 + 0.4 * noise(rng, (width, horizon), 60)[..., None])
    if rng.random() < 0.4:
        still[:: rng.integers(20, 50)] *= 0.7
        still[:, :: rng.integers(20, 70)] *= 0.7
    for _ in range(rng.integers(0, 6)):
        left, top = rng.integers(0, width), rng.integers(0, height)
        right, bottom = left + rng.integers(10, width // 3), top + rng.integers(10, height // 2)
        still[top:bottom, left:right] = rng.random(3).astype(np.float32) * rng.uniform(0.3, 1)
    frame = np.clip(still, 0, 1)
    for _ in range(count):
        yield frame


class Photographs:
    """Grounds out of image files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __call__(self, rng: np.random.Generator, size: tuple[int, int], count: int) -> Iterator[Shade]:
        with Image.open(self._paths[int(rng.integers(len(self._paths)))]) as image:
            upright = image.convert("RGB")
        frame = np.asarray(_covering(upright, size), np.float32) / 255
        for _ in range(count):
            yield frame


class Clips:
    """Grounds out of video files, moving as they move, from a second by chance on."""

    def __init__(self, clips: Sequence[Sequence[Image.Image]]) -> None:
        self._clips = clips

    def __call__(self, rng: np.random.Generator, size: tuple[int, int], count: int) -> Iterator[Shade]:
        clip = self._clips[int(rng.integers(len(self._clips)))]
        for index in range(count):
            yield np.asarray(_covering(clip[index % len(clip)], size), np.float32) / 255


def _covering(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of the image, as large as ``size``."""
    scale = max(size[0] / image.width, size[1] / image.height)
    large = image.resize((round(image.width * scale + 0.5), round(image.height * scale + 0.5)))
    left, top = (large.width - size[0]) // 2, (large.height - size[1]) // 2
    return large.crop((left, top, left + size[0], top + size[1]))


_GROUNDS = (
    (0.45, 0.36, 0.26),  # earth
    (0.60, 0.34, 0.22),  # red earth
    (0.52, 0.27, 0.18),  # laterite
    (0.30, 0.38, 0.18),  # grass
    (0.55, 0.55, 0.53),  # concrete
    (0.75, 0.72, 0.68),  # tiles
    (0.80, 0.70, 0.52),  # sand
    (0.25, 0.22, 0.20),  # dark floor
    (0.58, 0.33, 0.26),  # brick
)
