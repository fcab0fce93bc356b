"""What is seen in each sampled picture: the detector is handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.domain.verdict import GROUPS, Box, Frame, Group, Model
from shared.evidence.frames import Fit, Picture
from shared.evidence.odds import log_odds, probability
from shared.evidence.version import version_of


class Threshold(msgspec.Struct, frozen=True):
    """From ``present`` on, a group is there; below ``absent`` it is not; between the two nobody can say."""

    present: float
    absent: float


class Calibration(msgspec.Struct, frozen=True):
    """From a score to a probability: a logistic curve over the score's log odds (Platt, 1999)."""

    slope: float
    offset: float

    def probability(self, score: float) -> float:
        """How likely a picture in which a group's best score is ``score`` shows the group, where every other does."""
        return probability(self.slope * log_odds(score) + self.offset)


class Rule(msgspec.Struct, frozen=True):
    """When a scene counts, from the evaluation of the detector, not from taste.

    Person, animal and knife must be present together in ``frames`` pictures of ``within`` neighbouring ones, each of
    these must be ``believed`` (see :func:`belief`).
    """

    thresholds: Mapping[Group, Threshold]
    frames: int
    within: int
    calibration: Mapping[Group, Calibration] = {}
    believed: float = 0.0

    @property
    def version(self) -> str:
        """Another one for every other rule."""
        return version_of(self)


class Detector(Protocol):
    """A model that looks. ``fit`` is how it wants its pictures, ``rule`` what its scores are good for."""

    @property
    def model(self) -> Model: ...

    @property
    def fit(self) -> Fit: ...

    @property
    def rule(self) -> Rule: ...

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        """The boxes in one picture ``[height, width, 3]``, labels already joined to their groups."""
        ...


class Sight(msgspec.Struct, frozen=True):
    """What was seen, by what: one frame for each sampled picture, in order."""

    frames: tuple[Frame, ...] = ()
    detector: Model | None = None
    rule: Rule | None = None


def look(picture: Picture, detector: Detector) -> Frame:
    """One picture: its boxes, and the best score of each group."""
    boxes = sorted(detector.detect(picture.array()), key=lambda box: -box.score)
    best = {group: max((box.score for box in boxes if box.group == group), default=0.0) for group in GROUPS}
    return Frame(round(picture.time, 2), best["person"], best["animal"], best["knife"], tuple(boxes))


def belief(frame: Frame, rule: Rule) -> float:
    """The probability of the least likely of the three in this one frame; 1 without a calibration.

    The weakest and not their product: a clear person must not make up for an animal that is hardly one.
    """
    return min((curve.probability(frame.score(group)) for group, curve in rule.calibration.items()), default=1.0)


def together(frame: Frame, rule: Rule) -> bool:
    """Whether all three groups are present in this one frame, and believed together."""
    present = all(frame.score(group) >= rule.thresholds[group].present for group in GROUPS)
    return present and belief(frame, rule) >= rule.believed


def confirmed(frames: Sequence[Frame], rule: Rule) -> bool:
    """Whether the three were together long enough; of a video shorter than the rule's window, in all of it."""
    shown = [together(frame, rule) for frame in frames]
    needed = min(rule.frames, len(shown))
    windows = (shown[start : start + rule.within] for start in range(max(1, len(shown) - rule.within + 1)))
    return needed > 0 and any(sum(window) >= needed for window in windows)
