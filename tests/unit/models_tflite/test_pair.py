"""Two detectors that are believed together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models_tflite.pair import Pair
from shared.domain.verdict import GROUPS, Box, Group, Model
from shared.evidence.frames import Fit
from shared.evidence.odds import FAINTEST
from shared.evidence.scene import Rule, Threshold

RULE = Rule({group: Threshold(0.5, FAINTEST) for group in GROUPS}, frames=1, within=1)
LEFT, RIGHT = (0.0, 0.0, 0.4, 0.4), (0.6, 0.6, 1.0, 1.0)


class Says:
    """Sees what it was told to see, and remembers what it was shown."""

    model = Model("says", "1")
    rule = RULE

    def __init__(self, *boxes: Box, fit: Fit = Fit(40, 40, "rgb24")) -> None:  # noqa: B008 - it cannot be changed
        self.fit = fit
        self.boxes = list(boxes)
        self.shown: list[NDArray[np.uint8]] = []

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        self.shown.append(picture)
        return self.boxes


def box(group: Group, score: float, place: tuple[float, float, float, float] = LEFT) -> Box:
    return Box(group, group, score, *place)


def seen(one: Says, other: Says, rule: Rule = RULE) -> list[tuple[str, float]]:
    pair = Pair(one, other, Model("pair", "1"), rule, overlap=0.5)
    return [(box.group, box.score) for box in pair.detect(np.zeros((40, 40, 3), np.uint8))]


def test_odds_are_averaged() -> None:
    # odds 9 and 1/9 make 1; odds 4 and 9 make 6, that is 6/7
    assert seen(Says(box("knife", 0.9)), Says(box("knife", 0.1))) == [("knife", 0.5)]
    assert seen(Says(box("knife", 0.8)), Says(box("knife", 0.9))) == [("knife", 0.857)]


def test_what_the_other_does_not_see_is_believed_less() -> None:
    ((group, score),) = seen(Says(box("animal", 0.9)), Says(box("knife", 0.003)))[:1]
    assert group == "animal"
    assert score == pytest.approx(1 / (1 + (1 / 9 * 199) ** 0.5), abs=1e-3)


def test_groups_do_not_lend_each_other_belief() -> None:
    alone, beside = seen(Says(box("knife", 0.6)), Says()), seen(Says(box("knife", 0.6)), Says(box("person", 0.99)))
    assert ("knife", alone[0][1]) in beside


def test_one_place_gives_one_box_and_two_places_two() -> None:
    assert len(seen(Says(box("person", 0.9)), Says(box("person", 0.8)))) == 1
    assert len(seen(Says(box("person", 0.9)), Says(box("person", 0.8, RIGHT)))) == 2


def test_what_is_absent_is_not_told() -> None:
    strict = Rule({group: Threshold(0.5, 0.3) for group in GROUPS}, frames=1, within=1)
    assert seen(Says(box("knife", 0.2)), Says(), strict) == []


def test_each_is_shown_the_picture_as_it_wants_it() -> None:
    small, large = Says(fit=Fit(20, 20, "rgb24")), Says(fit=Fit(40, 40, "bgr24"))
    pair = Pair(small, large, Model("pair", "1"), RULE, overlap=0.5)
    assert pair.fit == large.fit
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :, 0] = 200  # blue
    pair.detect(picture)
    assert large.shown[0].shape == (20, 40, 3)
    assert small.shown[0].shape == (10, 20, 3)
    assert (small.shown[0] == (0, 0, 200)).all()
