"""Two detectors that look at the same picture and are believed together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import Image

from models_tflite.decoders import suppressed
from shared.domain.verdict import GROUPS, Box, Group, Model
from shared.evidence.frames import Fit
from shared.evidence.odds import FAINTEST, log_odds, probability
from shared.evidence.scene import Detector, Rule

_ROUNDED = 0.0005
"""Scores are told in thousandths."""


class Pair:
    """Implements :class:`shared.evidence.scene.Detector` by two others, which should tell of every sign (`sensitive`).

    A box's odds are the geometric mean of what its own detector gives it and of the best that the other one sees of
    that group anywhere in the picture, `FAINTEST` if nothing (a logarithmic opinion pool, Genest and Zidek 1986). What
    both believe a little thus counts for more than what one of them believes alone.
    """

    def __init__(self, first: Detector, second: Detector, model: Model, rule: Rule, overlap: float) -> None:
        """``overlap`` is the intersection over union from which two boxes of one group are one."""
        self.model = model
        self.rule = rule
        self.fit = max(first.fit, second.fit, key=lambda fit: fit.width * fit.height)
        self._members = (first, second)
        self._overlap = overlap

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        """The boxes of both in ``picture`` ``[height, width, 3]``, which lies within ``fit``; suppressed by group."""
        one, other = (member.detect(_fitted(picture, self.fit, member.fit)) for member in self._members)
        return [box for group in GROUPS for box in self._joined(_of(group, one), _of(group, other), group)]

    def _joined(self, one: Sequence[Box], other: Sequence[Box], group: Group) -> list[Box]:
        absent = self.rule.thresholds[group].absent
        boxes = [*_pooled(one, _best(other), absent), *_pooled(other, _best(one), absent)]
        corners = np.array([(box.left, box.top, box.right, box.bottom) for box in boxes], np.float32).reshape(-1, 4)
        scores = np.array([box.score for box in boxes], np.float32)
        return [boxes[at] for at in suppressed(corners, scores, self._overlap)]


def _of(group: Group, boxes: Sequence[Box]) -> list[Box]:
    return [box for box in boxes if box.group == group]


def _best(boxes: Sequence[Box]) -> float:
    return max((box.score for box in boxes), default=FAINTEST)


def _pooled(boxes: Sequence[Box], others: float, absent: float) -> list[Box]:
    """Those that are then still as likely as ``absent``: of a great many boxes, few."""
    theirs = log_odds(others)
    least = probability(2 * log_odds(absent - _ROUNDED) - theirs)
    likely = [box for box in boxes if box.score >= least]
    pooled = [replace(box, score=round(probability((log_odds(box.score) + theirs) / 2), 3)) for box in likely]
    return [box for box in pooled if box.score >= absent]


def _fitted(picture: NDArray[np.uint8], made_for: Fit, wanted: Fit) -> NDArray[np.uint8]:
    """A picture that lies within one fit, as another detector wants it."""
    if made_for.pixels != wanted.pixels:
        picture = picture[:, :, ::-1]
    height, width = picture.shape[:2]
    scale = min(wanted.width / width, wanted.height / height)
    if scale == 1:
        return np.ascontiguousarray(picture)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BILINEAR))
