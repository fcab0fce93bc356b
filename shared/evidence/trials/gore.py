"""Films with painted blood, of which every bloody pixel is known, among things that only look like it.

Colours of blood are of photographs in standard RGB: arterial (#8a0303 to #c41a1a), deep (#5a0508), drying
(#4a1a10). Cloth reaches over the whole red corner and into blood's own hues, so colour alone cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.evidence.trials.scenery import MARGIN, Grounds, Shade, noise

Kind = Literal["blood", "cloth", "skin", "soil"]
KINDS: tuple[Kind, ...] = ("blood", "cloth", "skin", "soil")

FRINGE = 255
"""Truth of where blood is thinner than half: it counts neither way."""

_TRACE = 0.08

_ACT = 100
"""Pictures in which things go their way: four seconds. A film begins somewhere in it."""


class Shot(msgspec.Struct, frozen=True):
    """One picture: ``[height, width, 3]`` bytes, and of each pixel what was painted there (index in KINDS + 1)."""

    picture: NDArray[np.uint8]
    truth: NDArray[np.uint8]

    def shows(self, kind: Kind) -> NDArray[np.bool_]:
        where: NDArray[np.bool_] = self.truth == KINDS.index(kind) + 1
        return where


class _Thing(msgspec.Struct, frozen=True):
    """Something painted: its colours, where it is how dense (0 to 1) once grown, and its way over the ground."""

    kind: Kind
    colour: Shade
    height: Shade
    soft: float
    start: float
    growth: float
    gloss: float
    shine: Shade
    at: tuple[float, float]
    speed: tuple[float, float]
    swing: float

    def density(self, share: float) -> Shade:
        """``share`` of the act is over: what stands higher than the tide is covered."""
        tide = 1 - self.start - self.growth * min(share, 1)
        return np.clip((self.height - tide) / self.soft, 0, 1)


def film(seed: int, grounds: Grounds, size: tuple[int, int], count: int, *, bloody: bool = True,
         clean: bool = False, even: bool = False) -> Iterator[Shot]:
    """``count`` pictures of ``size`` (width, height), the same ones for the same seed; ``clean`` ones are sharp and
    without noise, in ``even`` ones blood is of one colour, or nearly."""
    rng = np.random.default_rng(seed)
    wide = (round(size[0] * MARGIN), round(size[1] * MARGIN))
    things = [_decoy(rng, size) for _ in range(rng.integers(1, 5))]
    paint = _even_blood if even else _blood
    things += [paint(rng, size) for _ in range(rng.integers(1, 4))] if bloody else []
    camera = _Camera(rng, size, wide, count, clean)
    begun = rng.random()
    for index, ground in enumerate(grounds(rng, wide, count)):
        picture, truth = ground.copy(), np.zeros(ground.shape[:2], np.uint8)
        for thing in things:
            _paint(thing, picture, truth, begun + index / _ACT, rng)
        yield camera.take(picture, truth, index)


def _paint(thing: _Thing, picture: Shade, truth: NDArray[np.uint8], share: float, rng: np.random.Generator) -> None:
    height, width = thing.height.shape
    left = round(thing.at[0] + thing.speed[0] * share + thing.swing * np.sin(9 * share))
    top = round(thing.at[1] + thing.speed[1] * share)
    x, y = max(left, 0), max(top, 0)
    right, bottom = min(left + width, picture.shape[1]), min(top + height, picture.shape[0])
    if right <= x or bottom <= y:
        return
    part = (slice(y - top, bottom - top), slice(x - left, right - left))
    density = thing.density(share)[part]
    under = picture[y:bottom, x:right]
    light = np.clip(under.mean(axis=2, keepdims=True) / 0.45, 0.55, 1.25) if thing.kind == "blood" else 1.0
    colour = thing.colour[part] * light
    if thing.gloss:
        shine = np.roll(thing.shine, (top // 2, left // 2), (0, 1))[part]  # highlights lag behind what moves
        colour = np.where((shine > 1 - thing.gloss)[..., None], colour * 0.3 + 0.7 * rng.uniform(0.8, 1), colour)
    picture[y:bottom, x:right] = under * (1 - density[..., None]) + colour * density[..., None]
    mark = truth[y:bottom, x:right]
    if thing.kind == "blood":
        mark[(density > _TRACE) & (density <= 0.5) & (mark != KINDS.index("blood") + 1)] = FRINGE
    mark[density > 0.5] = KINDS.index(thing.kind) + 1


def _blood(rng: np.random.Generator, size: tuple[int, int]) -> _Thing:
    width = int(size[0] * rng.uniform(0.06, 0.45))
    height = int(np.clip(width * rng.uniform(0.3, 1.6), 12, size[1] * 0.7))
    shape = (width, height)
    shades = (((0.54, 0.02, 0.02), (0.75, 0.09, 0.09)), ((0.33, 0.01, 0.02), (0.52, 0.04, 0.05)),
              ((0.26, 0.07, 0.05), (0.40, 0.12, 0.08)), ((0.62, 0.10, 0.08), (0.70, 0.22, 0.18)))  # fmt: skip
    low, high = shades[rng.choice(4, p=(0.35, 0.35, 0.15, 0.15))]
    base = rng.uniform(low, high).astype(np.float32)
    depth = noise(rng, shape, rng.uniform(10, 60))
    colour = base * (1 - rng.uniform(0, 0.4) + rng.uniform(0, 0.6) * depth[..., None])
    colour = _grainy(rng, colour)
    form = rng.choice(3, p=(0.6, 0.2, 0.2))
    if form == 0:  # a pool, a wound
        relief = 1 - _distance(shape) + 0.5 * (noise(rng, shape, max(width / 4, 6)) - 0.5)
    elif form == 1:  # drops
        relief = noise(rng, shape, rng.uniform(6, 14), 2) + 0.25 - 0.6 * _distance(shape)
    else:  # a smear along one direction
        strokes = noise(rng, (width, max(height // 8, 3)), 8, 2)
        relief = np.asarray(Image.fromarray(strokes).resize(shape)) + 0.35 - 0.5 * _distance(shape)
    still = rng.random() < 0.6
    return _Thing(
        "blood", colour, relief.astype(np.float32), rng.uniform(0.01, 0.25), rng.uniform(0.2, 0.55),
        rng.uniform(0, 0.35), rng.uniform(0.1, 0.35) if rng.random() < 0.5 else 0.0, noise(rng, shape, 9, 2),
        _place(rng, size, shape),
        (0.0, 0.0) if still else (rng.uniform(-0.3, 0.3) * size[0], rng.uniform(-0.2, 0.2) * size[1]),
        0.0 if still else rng.uniform(0, 0.03) * size[0],
    )  # fmt: skip


def _even_blood(rng: np.random.Generator, size: tuple[int, int]) -> _Thing:
    thing = _blood(rng, size)
    mean = thing.colour.mean(axis=(0, 1), keepdims=True)
    colour = mean + (thing.colour - mean) * rng.choice([0.0, 0.15, 0.35])
    return msgspec.structs.replace(
        thing, colour=colour.astype(np.float32), gloss=0.0 if rng.random() < 0.7 else thing.gloss,
        soft=thing.soft if rng.random() < 0.5 else 0.01,
    )  # fmt: skip


def _decoy(rng: np.random.Generator, size: tuple[int, int]) -> _Thing:
    kind: Kind = ("cloth", "cloth", "skin", "soil")[rng.integers(4)]
    if kind == "cloth":
        shape = (int(size[0] * rng.uniform(0.08, 0.35)), int(size[1] * rng.uniform(0.15, 0.6)))
        colour = _cloth(rng, shape)
        relief = _square(shape) if rng.random() < 0.6 else 1.4 - _distance(shape) + noise(rng, shape, 40) * 0.5
    elif kind == "skin":
        side = size[1] * rng.uniform(0.1, 0.45)
        shape = (int(side * 0.8), int(side))
        colour, relief = _skin(rng, shape), np.float32(1.5) - _distance(shape)
    else:
        shape = (int(size[0] * rng.uniform(0.2, 0.7)), int(size[1] * rng.uniform(0.15, 0.5)))
        colour, relief = _soil(rng, shape), 1.2 - _distance(shape) + 0.4 * (noise(rng, shape, 30) - 0.5)
    moves = rng.random() < 0.5 and kind != "soil"
    speed = (rng.uniform(-0.4, 0.4) * size[0], rng.uniform(-0.1, 0.1) * size[1]) if moves else (0.0, 0.0)
    return _Thing(kind, colour, relief.astype(np.float32), 0.1, 0.6, 0.0, 0.0, np.zeros((1, 1), np.float32),
                  _place(rng, size, shape), speed, rng.uniform(0, 0.02) * size[0])  # fmt: skip


def _cloth(rng: np.random.Generator, shape: tuple[int, int]) -> Shade:
    """Red, orange or pink cloth: folds, a weave, at times checks or stripes."""
    base = _from_hsv(rng.uniform(-15, 18), rng.uniform(0.55, 0.95), rng.uniform(0.35, 0.95))
    x, y = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]))
    angle = rng.uniform(-0.5, 0.5)
    folds = np.sin((x * np.cos(angle) + y * np.sin(angle)) / rng.uniform(4, 18) + 4 * noise(rng, shape, 60))
    light = 0.85 + rng.uniform(0.04, 0.3) * folds
    weave = ((x // rng.integers(1, 3) + y // rng.integers(1, 3)) % 2) * rng.uniform(0, 0.12)
    colour = _grainy(rng, base * (light - weave)[..., None].astype(np.float32))
    if rng.random() < 0.35:
        other = rng.random(3).astype(np.float32)
        stripes = (x if rng.random() < 0.5 else y) // rng.integers(5, 20) % 2 == 0
        colour[stripes] = other * light[stripes][:, None]
    return np.clip(colour, 0, 1).astype(np.float32)


def _grainy(rng: np.random.Generator, colour: Shade) -> Shade:
    """With grain of its own, or none."""
    grain = rng.random(colour.shape[:2]).astype(np.float32) - 0.5
    grainy: Shade = colour * (1 + max(rng.uniform(-0.15, 0.3), 0) * grain[..., None])
    return grainy


def _skin(rng: np.random.Generator, shape: tuple[int, int]) -> Shade:
    """A face, as far as colour goes: skin from light to dark, lit from a side, eyes and a mouth."""
    light = np.array((0.95, 0.78, 0.68), np.float32)
    dark = np.array((0.28, 0.17, 0.12), np.float32)
    base = dark + (light - dark) * rng.random()
    base = base * np.array((1, rng.uniform(0.88, 1.04), rng.uniform(0.85, 1.05)), np.float32)
    sides: list[float] = rng.permutation([rng.uniform(0.6, 0.95), 1.1]).tolist()
    across = np.linspace(sides[0], sides[1], shape[0])
    colour = base * (across[None, :, None] + 0.1 * (noise(rng, shape, 12)[..., None] - 0.5))
    colour = np.broadcast_to(colour, (shape[1], shape[0], 3)).copy()
    row, column = shape[1], shape[0]
    for left in (0.25, 0.6):
        colour[int(row * 0.38) : int(row * 0.45), int(column * left) : int(column * (left + 0.16))] *= 0.4
    mouth = colour[int(row * 0.72) : int(row * 0.79), int(column * 0.32) : int(column * 0.68)]
    mouth *= np.array((1.0, 0.75, 0.78), np.float32)
    return np.clip(colour, 0, 1).astype(np.float32)


def _soil(rng: np.random.Generator, shape: tuple[int, int]) -> Shade:
    base = _from_hsv(rng.uniform(9, 26), rng.uniform(0.4, 0.75), rng.uniform(0.3, 0.75))
    grain = rng.random((shape[1], shape[0])).astype(np.float32) * rng.uniform(0.1, 0.35)
    soil: Shade = np.clip(base * (0.65 + 0.5 * noise(rng, shape, 40) + grain - 0.1)[..., None], 0, 1)
    return soil


class _Camera:
    """A hand-held camera: it drifts, turns and breathes; its colours, sharpness and noise are its own."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], wide: tuple[int, int], count: int,
                 clean: bool) -> None:
        self._rng = rng
        self._size = size
        margin = np.array([(wide[0] - size[0]) / 2, (wide[1] - size[1]) / 2])
        shake = rng.choice([0.0, 0.3, 1.0])
        walk = np.cumsum(rng.normal(0, shake * size[0] / 500, (count, 2)), axis=0)
        self._path = margin + np.clip(walk - walk[0], -margin * 0.8, margin * 0.8)
        self._turn = np.cumsum(rng.normal(0, shake * 0.0008, count))
        self._gain = (rng.uniform(0.6, 1.25) * rng.uniform((0.92, 0.96, 0.8), (1.12, 1.04, 1.15))).astype(np.float32)
        self._grain = 0.0 if clean else rng.choice([0.004, 0.012, 0.03])
        self._sharp = 1.0 if clean else rng.choice([1.0, 1.0, 0.6])

    def take(self, picture: Shade, truth: NDArray[np.uint8], index: int) -> Shot:
        x, y = self._path[index]
        turn = self._turn[index]
        view = (np.cos(turn), -np.sin(turn), x, np.sin(turn), np.cos(turn), y)
        image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
        seen = image.transform(self._size, Image.Transform.AFFINE, view, Image.Resampling.BILINEAR)
        mask = Image.fromarray(truth).transform(self._size, Image.Transform.AFFINE, view, Image.Resampling.NEAREST)
        if self._sharp < 1:
            small = seen.resize((int(self._size[0] * self._sharp), int(self._size[1] * self._sharp)))
            seen = small.resize(self._size, Image.Resampling.BILINEAR)
        light = np.asarray(seen, np.float32) / 255 * self._gain
        light += self._rng.normal(0, self._grain, light.shape).astype(np.float32)
        return Shot((np.clip(light, 0, 1) * 255).astype(np.uint8), np.asarray(mask))


def _place(rng: np.random.Generator, size: tuple[int, int], shape: tuple[int, int]) -> tuple[float, float]:
    free = np.maximum(np.array(size) * MARGIN - shape, 1)
    x, y = free * rng.uniform(0.05, 0.95, 2)
    return float(x), float(y)


def _distance(shape: tuple[int, int]) -> Shade:
    """From the middle, 1 at the nearest border."""
    x, y = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]))
    return np.sqrt(x**2 + y**2).astype(np.float32)


def _square(shape: tuple[int, int]) -> Shade:
    return np.full((shape[1], shape[0]), 1.0, np.float32)


def _from_hsv(hue: float, saturation: float, value: float) -> Shade:
    """Hue in degrees."""
    channels = [value - value * saturation * max(0.0, min(k, 4 - k, 1.0))
                for k in ((n + hue / 60) % 6 for n in (5, 3, 1))]  # fmt: skip
    return np.array(channels, np.float32)
