"""From a detector's raw numbers to candidate boxes: one function for each way that models write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models_tflite.manifest import Input, Output

Floats = NDArray[np.float32]

Decoder = Callable[[Sequence[Floats], Input, Output], tuple[Floats, Floats]]
"""The model's outputs, as numbers, to boxes ``[n, 4]`` (left, top, right, bottom in input pixels) and scores
``[n, labels]``."""


def yolox(outputs: Sequence[Floats], shape: Input, output: Output) -> tuple[Floats, Floats]:
    """``[1, cells, 5 + labels]``: centre, size, objectness, class scores, relative to each cell of each grid.

    Ge et al., "YOLOX: Exceeding YOLO Series in 2021"; as exported without its last step. Grids follow one another
    in the order of the strides, row by row: centre = (value + column or row) x stride, size = exp(value) x stride,
    score = objectness x class.
    """
    values = outputs[0][0]
    cells, strides = _grids(shape.height, shape.width, tuple(output.strides))
    centres = (values[:, :2] + cells) * strides
    halves = np.exp(values[:, 2:4]) * strides / 2
    return np.hstack([centres - halves, centres + halves]), values[:, 4:5] * values[:, 5:]


def distances(outputs: Sequence[Floats], shape: Input, output: Output) -> tuple[Floats, Floats]:
    """Two outputs: scores ``[1, cells, labels]``, 0 to 1, and ``[1, cells, 4]``: how far the left, top, right and
    bottom sides lie from the middle of each cell of each grid, in strides.

    Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", 2019; as our own training writes it.
    """
    scores, sides = outputs[0][0], outputs[1][0]
    cells, strides = _grids(shape.height, shape.width, tuple(output.strides))
    middles = cells + 0.5
    return np.hstack([middles - sides[:, :2], middles + sides[:, 2:]]) * strides, scores


@cache
def _grids(height: int, width: int, strides: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Column and row ``[cells, 2]`` and stride ``[cells, 1]`` of every cell."""
    cells, sizes = [], []
    for stride in strides:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        sizes.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(sizes).astype(np.float32)


DECODERS: Mapping[str, Decoder] = {"distances": distances, "yolox": yolox}


def suppressed(boxes: Floats, scores: Floats, overlap: float) -> list[int]:
    """Greedy non-maximum suppression: the indices to keep, best first.

    A box goes when its intersection over union with a better one reaches ``overlap``.
    """
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = boxes[order].T
    areas = (right - left) * (bottom - top)
    wide = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    high = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    apart = shared < overlap * (areas[:, None] + areas - shared)
    alive = np.ones(len(order), np.bool_)
    kept = []
    for at in range(len(order)):
        if alive[at]:
            kept.append(int(order[at]))
            alive &= apart[at]
    return kept
