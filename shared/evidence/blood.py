"""How much each part of a picture looks like blood.

Red is not enough: cloth, skin and earth are red, too. What is told apart here is the look of a place among its
neighbours: hue and depth of the colour, how even it is over a few pixels and over many (blood is smooth or wet, cloth
is woven and folded, earth is grainy), whether something shines in it, and how far the red reaches. A small network
weighs these; a second one sees also what the first thought of the surroundings (auto-context: Tu, 2008), which turns
scattered doubts about one cloth into one opinion. ``trials/learn.py`` trained both on painted blood over photographs.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE = 256
"""The longer side, in pixels, of the pictures that are looked at."""

_FLOOR = np.float32(0.02)
_REACHES = (2, 6, 14)
_FAR = 30
_SHINE = 0.55

_DARK, _DEEP, _EVEN, _DEEP_LIKENESS = 0.62, 1.5, 0.08, np.float32(0.9)

_FURTHEST = 2.5
"""Spreads from the mean: what lies beyond anything that was trained on says no more than what lies there."""

Map = NDArray[Any]
"""32 bit floats."""

Where = NDArray[np.bool_]


class Network(NamedTuple):
    """Of each feature its mean and spread, and of each layer its weights and offsets."""

    mean: Map
    spread: Map
    first: Map
    first_offset: Map
    second: Map
    second_offset: Map
    last: Map
    last_offset: Map

    def __call__(self, rows: Map) -> Map:
        """The likeness of each row of features, 0 to 1."""
        usual = np.clip((rows - self.mean) / self.spread, -_FURTHEST, _FURTHEST)
        hidden = np.maximum(usual @ self.first + self.first_offset, 0)
        hidden = np.maximum(hidden @ self.second + self.second_offset, 0)
        return sigmoid(hidden @ self.last + self.last_offset)


@cache
def networks() -> tuple[Network, Network]:
    """The one that sees features, and the one that sees features and surroundings."""
    with np.load(Path(__file__).with_name("blood.npz")) as file:
        one, two = ([file[f"{name}_{at}"].astype(np.float32) for name in Network._fields] for at in (1, 2))
    return Network(*one), Network(*two)


def blood(picture: NDArray[np.uint8]) -> Map:
    """The likeness of each pixel of ``[height, width, 3]`` (RGB, :data:`SIDE` pixels along its longer side), 0 to 1."""
    likeness = np.zeros(picture.shape[:2], np.float32)
    red = reddish(picture)
    if red.any():
        part = (_around(np.any(red, axis=1)), _around(np.any(red, axis=0)))
        first, second = networks()
        here = red[part]
        looks = features(picture[part], here)
        likeness[red] = second(np.concatenate((looks, surroundings(here, first(looks))), axis=1))
        likeness[red] = np.maximum(likeness[red], _deep(looks))
    return likeness


def _deep(looks: Map) -> Map:
    """Dark, deep and even red all around is taken for blood, whatever the networks think: a pool that was unlike any
    painted one stays sharp otherwise, and that is worse than a dark red cloth without folds that is blurred."""
    bright, over_green, uneven = looks[:, 3], looks[:, 5], looks[:, 11]
    deep: Map = ((bright < np.log(_DARK)) & (over_green > _DEEP) & (uneven < _EVEN)).astype(np.float32)
    return deep * _DEEP_LIKENESS


def reddish(picture: NDArray[np.uint8]) -> Where:
    """Where blood is possible at all: red leads green by a fifth and blue by a seventh."""
    red, green, blue = (picture[..., channel].astype(np.int16) for channel in range(3))
    lead: Where = (5 * red > 6 * green) & (20 * red > 23 * blue) & (red > 12)
    return lead


def features(picture: NDArray[np.uint8], where: Where) -> Map:
    """The look of each pixel that is ``where``: ``[pixels, features]``."""
    light = picture.astype(np.float32) / 255 + _FLOOR
    logs = np.log(light)
    red = where.astype(np.float32)
    colours = (logs[..., 0], logs[..., 0] - logs[..., 1], logs[..., 1] - logs[..., 2])
    planes = list(colours)
    for reach in _REACHES:
        share = _mean(red, reach) + 1e-3
        for colour in colours:
            mean = _mean(colour * red, reach) / share
            planes += [mean, np.sqrt(np.maximum(_mean(colour * colour * red, reach) / share - mean * mean, 0))]
        planes.append(share)
    bright = colours[0]
    across, down = np.zeros_like(bright), np.zeros_like(bright)
    across[:, 1:], down[1:] = np.abs(np.diff(bright, axis=1)), np.abs(np.diff(bright, axis=0))
    planes += [bright - _mean(bright, 1), _mean(across, 3), _mean(down, 3), _mean(across, 8), _mean(down, 8)]
    planes += [_mean((light.min(axis=2) > _SHINE).astype(np.float32), 4), _mean(bright, 24), _mean(red, _FAR)]
    return np.stack([plane[where] for plane in planes], axis=1)


def surroundings(where: Where, likeness: Map) -> Map:
    """What was thought of the pixels around each that is ``where``: ``[pixels, features]``."""
    red = where.astype(np.float32)
    plane = np.zeros_like(red)
    plane[where] = likeness
    planes = []
    for reach in (1, 3, 7, 14, 28):
        share = _mean(red, reach) + 1e-3
        planes += [_mean(plane, reach) / share, share]
    planes += [_mean((plane > 0.5).astype(np.float32), 5), _mean((plane > 0.8).astype(np.float32), 10)]
    return np.stack([plane[where] for plane in planes], axis=1)


def sigmoid(score: Map) -> Map:
    share: Map = 1 / (1 + np.exp(-np.clip(score, -30, 30)))
    return share


def _around(line: NDArray[Any] | np.bool_) -> slice:
    """From the first to the last that is True, and as far around as anything looks."""
    places = np.flatnonzero(line)
    return slice(max(int(places[0]) - _FAR, 0), int(places[-1]) + _FAR + 1)


def _mean(plane: Map, reach: int) -> Map:
    """Over the square of ``reach`` around each pixel, as much of it as there is."""
    return _along(_along(plane, reach, 0), reach, 1)


def _along(plane: Map, reach: int, axis: int) -> Map:
    length = plane.shape[axis]
    sums = np.cumsum(plane, axis=axis, dtype=np.float32)
    sums = np.concatenate((np.zeros_like(sums.take([0], axis)), sums), axis)
    index = np.arange(length)
    low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, length)
    count = (high - low).astype(np.float32)
    mean: Map = (sums.take(high, axis) - sums.take(low, axis)) / (count[:, None] if axis == 0 else count)
    return mean
