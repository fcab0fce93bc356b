"""How good a detector is: numbers from what it found and what was there, nothing else.

Boxes are `[n, 4]`: x1, y1, x2, y2 in pixels of the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """A detector's boxes `[n, 4]`, classes `[n]` (indices) and scores `[n]` on one image."""

    boxes: Floats
    classes: NDArray[np.integer]
    scores: Floats


@dataclass(frozen=True)
class Truth:
    """What is labelled on one image; `ignored` marks regions `[n]` where a detection counts neither way."""

    boxes: Floats
    classes: NDArray[np.integer]
    ignored: Flags


@dataclass(frozen=True)
class Interval:
    """A measured share of `total` cases with its 95 % Wilson interval (Wilson, 1927)."""

    value: float
    low: float
    high: float
    total: int


def wilson(successes: int, total: int) -> Interval | None:
    """The share with its interval; None when there was no case."""
    if total == 0:
        return None
    z = 1.959964
    share = successes / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    reach = z / (1 + z**2 / total) * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return Interval(share, max(middle - reach, 0.0), min(middle + reach, 1.0), total)


def best_scores(found: Sequence[Found], classes: int) -> Floats:
    """The highest score of each class on each image `[images, classes]`, zero where none was found."""
    scores = np.zeros((len(found), classes))
    for row, one in enumerate(found):
        np.maximum.at(scores[row], one.classes, one.scores)
    return scores


def presence(truths: Sequence[Truth], classes: int) -> tuple[Flags, Flags]:
    """Whether each class is on each image, and whether that is known, both `[images, classes]`.

    It is unknown where a class has regions to ignore and no labelled box.
    """
    present = np.zeros((len(truths), classes), bool)
    unsure = np.zeros((len(truths), classes), bool)
    for row, truth in enumerate(truths):
        present[row, truth.classes[~truth.ignored]] = True
        unsure[row, truth.classes[truth.ignored]] = True
    return present, present | ~unsure


def recall_at_precision(scores: Floats, present: Flags, precision: float) -> tuple[float, float]:
    """The highest recall, over all thresholds, whose precision is at least so much, and its threshold.

    `(0.0, inf)` when no threshold reaches the precision or nothing is present.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(present[order])
    chosen = np.arange(1, len(order) + 1)
    last_of_score = np.append(np.diff(scores[order]) != 0, True)
    good = np.flatnonzero(last_of_score & (hits / chosen >= precision) & (scores[order] > 0))
    if not len(good) or not present.any():
        return 0.0, math.inf
    at = good[np.argmax(hits[good])]
    return float(hits[at] / present.sum()), float(scores[order][at])


def overlap(first: Floats, second: Floats) -> Floats:
    """Intersection over union `[n, m]`."""
    shared = _intersection(first, second)
    return shared / np.maximum(_area(first)[:, None] + _area(second)[None] - shared, 1e-9)


def average_precision(found: Sequence[Found], truths: Sequence[Truth], kind: int, threshold: float = 0.5) -> float:
    """Area under the precision-recall curve of one class's boxes, precision made monotone (PASCAL VOC 2010).

    A box is right when it overlaps a labelled one, not yet taken by a better box, by at least `threshold`; one that
    lies mostly in a region to ignore is left out. NaN when the class is nowhere labelled.
    """
    scores: list[float] = []
    rights: list[bool] = []
    labelled = 0
    for one, truth in zip(found, truths, strict=True):
        solid = truth.boxes[(truth.classes == kind) & ~truth.ignored]
        crowd = truth.boxes[(truth.classes == kind) & truth.ignored]
        labelled += len(solid)
        rows = np.flatnonzero(one.classes == kind)
        rows = rows[np.argsort(-one.scores[rows], kind="stable")]
        for row, right in zip(rows, _matches(one.boxes[rows], solid, crowd, threshold), strict=True):
            if right is not None:
                scores.append(float(one.scores[row]))
                rights.append(right)
    if labelled == 0:
        return math.nan
    order = np.argsort(-np.array(scores), kind="stable")
    hits = np.cumsum(np.array(rights, bool)[order])
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(precision * np.diff(hits, prepend=0)) / labelled)


def _matches(boxes: Floats, solid: Floats, crowd: Floats, threshold: float) -> list[bool | None]:
    """For each box, best first: right, wrong, or None where it counts neither way."""
    shared = overlap(boxes, solid)
    results: list[bool | None] = []
    for row in range(len(boxes)):
        best = int(shared[row].argmax()) if len(solid) else -1
        if best >= 0 and shared[row, best] >= threshold:
            shared[:, best] = -1
            results.append(True)
        elif len(crowd) and _intersection(boxes[row : row + 1], crowd).max() >= 0.5 * _area(boxes[row : row + 1])[0]:
            results.append(None)
        else:
            results.append(False)
    return results


def _area(boxes: Floats) -> Floats:
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def _intersection(first: Floats, second: Floats) -> Floats:
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.maximum(bottom_right - top_left, 0).prod(axis=2)
