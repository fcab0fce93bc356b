"""Where the faces are of those who only stand by: persons who are not near the animal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.domain.verdict import Box, Frame

_SURE = 0.3
"""The score from which on a box is taken for what it says; a face too many blurred is better than one too few."""

_NEAR = 0.25
"""Of a person's height: who stands this close to an animal takes part."""

_AROUND_S = 1.5
"""A face is looked for in the pictures sampled this close before and after: persons move between two of them."""

_HEAD_ROOM = 0.06  # of the height of the box, above it
_UPRIGHT = 1.6  # height over width of somebody who is seen whole


def faces(seen: Sequence[Frame], time: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where to blur at ``time``, in a mask of ``shape`` (rows, columns)."""
    mask = np.zeros(shape, np.bool_)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    y, x = (rows + 0.5) / shape[0], (columns + 0.5) / shape[1]
    for frame in seen:
        if abs(frame.time - time) <= _AROUND_S:
            for person in bystanders(frame):
                middle, across, centre, down = _head(person)
                mask |= ((x - middle) / across) ** 2 + ((y - centre) / down) ** 2 <= 1
    return mask


def bystanders(frame: Frame) -> Iterator[Box]:
    """The persons in a picture who are not near an animal that is seen in it."""
    animals = [box for box in frame.boxes if box.group == "animal" and box.score >= _SURE]
    for person in frame.boxes:
        if person.group == "person" and person.score >= _SURE:
            reach = _NEAR * (person.bottom - person.top)
            if not any(_gap(person, animal) <= reach for animal in animals):
                yield person


def _gap(a: Box, b: Box) -> float:
    """Between the nearest sides of two boxes, 0 where they touch."""
    across = max(a.left - b.right, b.left - a.right, 0.0)
    down = max(a.top - b.bottom, b.top - a.bottom, 0.0)
    return max(across, down)


def _head(person: Box) -> tuple[float, float, float, float]:
    """An ellipse over the head: middle and half width across, centre and half height down."""
    width, height = person.right - person.left, person.bottom - person.top
    share = 0.24 if height > _UPRIGHT * width else 0.5
    top, bottom = person.top - _HEAD_ROOM * height, person.top + share * height
    return (person.left + person.right) / 2, 0.4 * width, (top + bottom) / 2, 0.6 * (bottom - top)
