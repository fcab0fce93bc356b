"""Boxes as arrays `[n, 4]`: x1, y1, x2, y2 in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Areas `[n]`, zero where a box is empty or turned inside out."""
    sides = np.maximum(boxes[:, 2:4] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def intersection(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """Shared areas `[n, m]`."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    sides = np.maximum(bottom_right - top_left, 0)
    return sides[..., 0] * sides[..., 1]


def overlap(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """Intersection over union `[n, m]`."""
    shared = intersection(first, second)
    return shared / np.maximum(area(first)[:, None] + area(second)[None] - shared, 1e-9)


def suppress(found: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Greedy non-maximum suppression per class of `[n, 6]` (box, class, score), best first."""
    found = found[np.argsort(-found[:, 5], kind="stable")]
    same_class = found[:, None, 4] == found[None, :, 4]
    rivals = (overlap(found[:, :4], found[:, :4]) > threshold) & same_class
    kept: list[int] = []
    for row in range(len(found)):
        if not rivals[row, kept].any():
            kept.append(row)
    return found[kept]
