"""How good a detector is: numbers from what it found and what was there, nothing else.

An image counts for a class as soon as it shows one. Verdicts rest on that, so images are judged first; boxes tell how
well things are outlined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.domain.verdict import GROUPS, Group

Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]

PRECISIONS = (0.8, 0.9, 0.95)
"""Recall is told at the lowest threshold that reaches each of these precisions."""

RESAMPLES = 200
"""Sets of images drawn with replacement for the interval of an average precision."""

_WILSON_Z = 1.959964  # two-sided 95 %


class Found(msgspec.Struct, frozen=True):
    """A detector's boxes on one image: corners ``[n, 4]`` (left, top, right, bottom in pixels), the index of each
    one's class in `GROUPS` ``[n]`` and its score ``[n]``, 0 to 1."""

    boxes: Floats
    classes: NDArray[np.integer[Any]]
    scores: Floats


class Truth(msgspec.Struct, frozen=True):
    """What is labelled on one image, as in :class:`Found`. Where ``ignored`` ``[n]``, a detection counts neither way.

    ``guessed`` marks boxes ``[n]`` that another detector drew. ``kinds`` ``[n]`` says which animal, or nothing.
    Images of one clip or look share a ``scene``.
    """

    file_name: str
    subset: str
    boxes: Floats
    classes: NDArray[np.integer[Any]]
    ignored: Flags
    guessed: Flags
    kinds: tuple[str, ...]
    scene: str = ""


class Share(msgspec.Struct, frozen=True):
    """``hits`` of ``total`` cases, and the 95 % Wilson interval of the share (Wilson, 1927)."""

    hits: int
    total: int
    value: float
    low: float
    high: float


class Point(msgspec.Struct, frozen=True):
    """What images a threshold picks out: recall is of those that show the class, precision of those picked."""

    threshold: float
    recall: Share | None
    precision: Share | None


class HeldOut(msgspec.Struct, frozen=True):
    """As a :class:`Point`, each half of the images picked out by the threshold that the other half asks for."""

    thresholds: tuple[float, float]
    recall: Share | None
    precision: Share | None


class BoxScore(msgspec.Struct, frozen=True):
    """Average precision at IoU 0.5 over ``labelled`` boxes, with its 95 % bootstrap interval over images."""

    labelled: int
    value: float
    low: float
    high: float


class ClassReport(msgspec.Struct, frozen=True):
    """One class. ``chosen`` is at the model's threshold, ``hand_drawn`` the recall there of images on which a person,
    not another detector, has outlined it; ``at_precision`` is by the precision asked for (None: never reached), and
    ``held_out`` the same with thresholds that were chosen on other images than those they are judged on."""

    boxes: BoxScore | None
    chosen: Point
    hand_drawn: Share | None
    curve: tuple[Point, ...]
    at_precision: dict[str, Point | None]
    held_out: dict[str, HeldOut | None]


class SubsetReport(msgspec.Struct, frozen=True):
    """At the model's thresholds: per class, the images that show it and were picked, and those that do not and were."""

    images: int
    recall: dict[Group, Share | None]
    false_alarms: dict[Group, Share | None]


class SceneReport(msgspec.Struct, frozen=True):
    """The same-frame rule at the model's thresholds, for each set of classes that images show together.

    ``complete`` counts images on which all of a set were found among those that show all; ``mistaken`` those on which
    all three were found among those that do not show all three.
    """

    complete: dict[str, Share | None]
    mistaken: Share | None


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds an image, decoding left out."""

    median: float
    slow: float
    """Nine in ten are faster."""


class SceneEvaluation(msgspec.Struct, frozen=True):
    """All that is measured of one model on one set. ``thresholds`` are the model's own."""

    model: str
    bytes: int
    images: int
    thresholds: dict[Group, float]
    latency_ms: Latency
    classes: dict[Group, ClassReport]
    scene: SceneReport
    subsets: dict[str, SubsetReport]
    animal_kinds: dict[str, Share | None]


def evaluate(
    truths: Sequence[Truth],
    found: Sequence[Found],
    seconds: Sequence[float],
    thresholds: Mapping[Group, float],
    *,
    model: str,
    size: int,
) -> SceneEvaluation:
    """The whole report on what a model found.

    Args:
        truths: what the images show.
        found: what the model found on them, in the same order, down to low scores.
        seconds: how long each image took.
        thresholds: from which score on the model's word is taken.
        model: its name.
        size: of its file, in bytes.
    """
    present, known = presence(truths)
    scores = best_scores(found)
    chosen = scores >= np.array([thresholds[group] for group in GROUPS])
    return SceneEvaluation(
        model=model,
        bytes=size,
        images=len(truths),
        thresholds=dict(thresholds),
        latency_ms=Latency(
            round(1000 * float(np.median(seconds)), 2), round(1000 * float(np.quantile(seconds, 0.9)), 2)
        ),
        classes={
            group: _class_report(index, found, truths, scores[:, index], thresholds[group])
            for index, group in enumerate(GROUPS)
        },
        scene=_scene_report(chosen, present, known),
        subsets=_subset_reports(truths, chosen, present, known),
        animal_kinds=_kind_recalls(truths, chosen),
    )


def best_scores(found: Sequence[Found]) -> Floats:
    """The highest score of each class on each image ``[images, 3]``, zero where none was found."""
    scores = np.zeros((len(found), len(GROUPS)))
    for row, one in enumerate(found):
        np.maximum.at(scores[row], one.classes, one.scores)
    return scores


def presence(truths: Sequence[Truth]) -> tuple[Flags, Flags]:
    """Whether each class is on each image, and whether that is known, both ``[images, 3]``.

    It is not known where a class has regions to ignore and no labelled box.
    """
    present = np.zeros((len(truths), len(GROUPS)), bool)
    unsure = np.zeros((len(truths), len(GROUPS)), bool)
    for row, truth in enumerate(truths):
        present[row, truth.classes[~truth.ignored]] = True
        unsure[row, truth.classes[truth.ignored]] = True
    return present, present | ~unsure


def share(hits: int, total: int) -> Share | None:
    """``hits / total`` with its interval; None of nothing."""
    if total == 0:
        return None
    value, z2 = hits / total, _WILSON_Z**2
    middle = (value + z2 / (2 * total)) / (1 + z2 / total)
    reach = _WILSON_Z / (1 + z2 / total) * math.sqrt(value * (1 - value) / total + z2 / (4 * total**2))
    return Share(
        int(hits), int(total), round(value, 4), round(max(middle - reach, 0), 4), round(min(middle + reach, 1), 4)
    )


def point(scores: Floats, present: Flags, threshold: float) -> Point:
    """Recall and precision of the images ``[n]`` whose score reaches the threshold."""
    chosen = scores >= threshold
    hits = int((chosen & present).sum())
    return Point(round(threshold, 4), share(hits, int(present.sum())), share(hits, int(chosen.sum())))


def threshold_for(scores: Floats, present: Flags, precision: float) -> float | None:
    """The lowest threshold from which the images ``[n]`` picked are right so often; None when none is."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(present[order])
    last_of_score = np.append(np.diff(scores[order]) != 0, True)
    reached = last_of_score & (hits >= precision * np.arange(1, len(order) + 1)) & (scores[order] > 0)
    rows = np.flatnonzero(reached)
    return float(scores[order][rows[-1]]) if len(rows) else None


def held_out(scores: Floats, present: Flags, first: Flags, precision: float) -> HeldOut | None:
    """Recall and precision of the images ``[n]`` of both halves, each half at the lowest threshold that reaches
    ``precision`` in the other one; None when one never does. ``first`` tells the halves apart."""
    thresholds = [threshold_for(scores[half], present[half], precision) for half in (~first, first)]
    if thresholds[0] is None or thresholds[1] is None:
        return None
    chosen = scores >= np.where(first, *thresholds)
    hits = int((chosen & present).sum())
    return HeldOut(
        (round(thresholds[0], 4), round(thresholds[1], 4)),
        share(hits, int(present.sum())),
        share(hits, int(chosen.sum())),
    )


def halves(truths: Sequence[Truth]) -> Flags:
    """Which images ``[n]`` are in the first of two halves, neither of which holds a scene of the other."""
    return np.array([crc32(truth.scene.encode()) % 2 == 1 for truth in truths], bool)


def average_precision(
    found: Sequence[Found], truths: Sequence[Truth], index: int, overlap: float = 0.5
) -> BoxScore | None:
    """Area under the precision-recall curve of one class's boxes, precision made monotone (as PASCAL VOC since 2010).

    A box is right when it covers a labelled one, not yet taken by a better box, with an IoU of ``overlap``; one that
    lies mostly in a region to ignore is left out. None when the class is nowhere labelled.
    """
    matches = [_match(one, truth, index, overlap) for one, truth in zip(found, truths, strict=True)]
    labelled = np.array([int(((truth.classes == index) & ~truth.ignored).sum()) for truth in truths])
    if labelled.sum() == 0:
        return None
    draws = np.random.default_rng(0).integers(len(truths), size=(RESAMPLES, len(truths)))
    resampled = [_area_under_curve([matches[row] for row in draw], int(labelled[draw].sum())) for draw in draws]
    low, high = np.quantile(resampled, [0.025, 0.975])
    value = _area_under_curve(matches, int(labelled.sum()))
    return BoxScore(int(labelled.sum()), round(value, 4), round(float(low), 4), round(float(high), 4))


def _class_report(
    index: int, found: Sequence[Found], truths: Sequence[Truth], scores: Floats, threshold: float
) -> ClassReport:
    present, known = (flags[:, index] for flags in presence(truths))
    by_hand = [(truth.classes == index) & ~truth.ignored & ~truth.guessed for truth in truths]
    at_precision, apart = {}, {}
    for precision in PRECISIONS:
        lowest = threshold_for(scores[known], present[known], precision)
        at_precision[f"{precision:g}"] = None if lowest is None else point(scores[known], present[known], lowest)
        apart[f"{precision:g}"] = held_out(scores[known], present[known], halves(truths)[known], precision)
    return ClassReport(
        boxes=average_precision(found, truths, index),
        chosen=point(scores[known], present[known], threshold),
        hand_drawn=_share_of(scores >= threshold, np.array([rows.any() for rows in by_hand], bool)),
        curve=tuple(point(scores[known], present[known], step / 20) for step in range(1, 20)),
        at_precision=at_precision,
        held_out=apart,
    )


def _scene_report(chosen: Flags, present: Flags, known: Flags) -> SceneReport:
    sets = {"person+knife": (0, 2), "person+animal": (0, 1), "animal+knife": (1, 2), "person+animal+knife": (0, 1, 2)}
    complete = {}
    for name, members in sets.items():
        shown = present[:, members].all(axis=1)
        complete[name] = share(int((shown & chosen[:, members].all(axis=1)).sum()), int(shown.sum()))
    lacking = (known & ~present).any(axis=1)
    return SceneReport(complete, share(int((lacking & chosen.all(axis=1)).sum()), int(lacking.sum())))


def _subset_reports(truths: Sequence[Truth], chosen: Flags, present: Flags, known: Flags) -> dict[str, SubsetReport]:
    names = np.array([truth.subset for truth in truths])
    reports = {}
    for name in sorted(set(names.tolist())):
        rows = names == name
        shown, hidden = present & rows[:, None], known & ~present & rows[:, None]
        reports[name] = SubsetReport(
            int(rows.sum()),
            {group: _share_of(chosen[:, index], shown[:, index]) for index, group in enumerate(GROUPS)},
            {group: _share_of(chosen[:, index], hidden[:, index]) for index, group in enumerate(GROUPS)},
        )
    return reports


def _kind_recalls(truths: Sequence[Truth], chosen: Flags) -> dict[str, Share | None]:
    """Recall of the images that show each kind of animal."""
    animal = GROUPS.index("animal")
    kinds = sorted({kind for truth in truths for kind in truth.kinds if kind})
    return {
        kind: _share_of(chosen[:, animal], np.array([kind in truth.kinds for truth in truths], bool)) for kind in kinds
    }


def _share_of(chosen: Flags, cases: Flags) -> Share | None:
    return share(int((chosen & cases).sum()), int(cases.sum()))


def _match(found: Found, truth: Truth, index: int, overlap: float) -> list[tuple[float, bool]]:
    """Score and rightness of each box of one class on one image, best first, those that count neither way left out."""
    of_class = truth.classes == index
    solid, crowd = truth.boxes[of_class & ~truth.ignored], truth.boxes[of_class & truth.ignored]
    rows = np.flatnonzero(found.classes == index)
    rows = rows[np.argsort(-found.scores[rows], kind="stable")]
    boxes = found.boxes[rows]
    shared = _intersections(boxes, solid)
    ratios = shared / np.maximum(_areas(boxes)[:, None] + _areas(solid) - shared, 1e-9)
    covered = _intersections(boxes, crowd).max(axis=1, initial=0) >= 0.5 * np.maximum(_areas(boxes), 1e-9)
    results: list[tuple[float, bool]] = []
    for place, row in enumerate(rows):
        best = int(ratios[place].argmax()) if len(solid) else -1
        right = best >= 0 and bool(ratios[place, best] >= overlap)
        if right:
            ratios[:, best] = -1
        if right or not covered[place]:
            results.append((float(found.scores[row]), right))
    return results


def _area_under_curve(matches: Sequence[list[tuple[float, bool]]], labelled: int) -> float:
    joined = [pair for image in matches for pair in image]
    if not joined or labelled == 0:
        return 0.0
    scores, rights = np.array([score for score, _ in joined]), np.array([right for _, right in joined])
    hits = np.cumsum(rights[np.argsort(-scores, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(best_from_here * np.diff(hits, prepend=0)) / labelled)


def _areas(boxes: Floats) -> Floats:
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)


def _intersections(first: Floats, second: Floats) -> Floats:
    """Shared areas ``[n, m]``."""
    start = np.maximum(first[:, None, :2], second[None, :, :2])
    end = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.maximum(end - start, 0).prod(axis=2)
