"""Numbers that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models_tflite.evaluate import (
    Found,
    Truth,
    average_precision,
    best_scores,
    evaluate,
    held_out,
    point,
    presence,
    share,
    threshold_for,
)
from shared.domain.verdict import Group

PERSON, ANIMAL, KNIFE = 0, 1, 2
Row = tuple[int, tuple[float, float, float, float]]


def truth(*rows: Row, ignored: tuple[int, ...] = (), subset: str = "", kinds: tuple[str, ...] = ()) -> Truth:
    return Truth(
        "x.jpg",
        subset,
        np.array([box for _, box in rows], float).reshape(-1, 4),
        np.array([kind for kind, _ in rows], int),
        np.array([place in ignored for place in range(len(rows))], bool),
        np.zeros(len(rows), bool),
        kinds or ("",) * len(rows),
    )


def found(*rows: tuple[int, float, tuple[float, float, float, float]]) -> Found:
    return Found(
        np.array([box for _, _, box in rows], float).reshape(-1, 4),
        np.array([kind for kind, _, _ in rows], int),
        np.array([score for _, score, _ in rows], float),
    )


LEFT, RIGHT = (0, 0, 10, 10), (50, 0, 60, 10)


def test_a_share_has_the_interval_that_wilson_gives() -> None:
    nine = share(9, 10)
    assert nine is not None
    assert (nine.value, nine.low, nine.high) == (0.9, 0.5958, 0.9821)
    assert share(0, 0) is None
    none = share(0, 10)
    assert none is not None
    assert none.low == 0


def test_average_precision_is_the_area_that_a_hand_draws() -> None:
    truths = [truth((KNIFE, LEFT), (KNIFE, RIGHT)), truth((KNIFE, LEFT))]
    seen = [found((KNIFE, 0.9, LEFT), (KNIFE, 0.8, (200, 200, 210, 210)), (KNIFE, 0.7, RIGHT)), found()]
    # right, wrong, right: precision 1 up to recall 1/3, then 2/3 up to 2/3, and one is never found
    score = average_precision(seen, truths, KNIFE)
    assert score is not None
    assert score.value == pytest.approx(1 / 3 + 2 / 9, abs=1e-4)
    assert score.labelled == 3
    assert score.low <= score.value <= score.high


def test_a_second_box_on_the_same_object_is_wrong() -> None:
    score = average_precision([found((KNIFE, 0.9, LEFT), (KNIFE, 0.8, LEFT))], [truth((KNIFE, LEFT))], KNIFE)
    twice = average_precision([found((KNIFE, 0.8, LEFT), (KNIFE, 0.9, (0, 0, 4, 4)))], [truth((KNIFE, LEFT))], KNIFE)
    assert score is not None
    assert twice is not None
    assert score.value == 1.0  # the wrong one comes last
    assert twice.value == 0.5  # the wrong one comes first


def test_what_lies_in_a_region_to_ignore_counts_neither_way() -> None:
    truths = [truth((KNIFE, LEFT), (KNIFE, RIGHT), ignored=(1,))]
    score = average_precision([found((KNIFE, 0.9, RIGHT), (KNIFE, 0.8, LEFT))], truths, KNIFE)
    assert score is not None
    assert (score.value, score.labelled) == (1.0, 1)


def test_a_class_that_is_nowhere_has_no_average_precision() -> None:
    assert average_precision([found()], [truth((KNIFE, LEFT))], ANIMAL) is None


def test_an_image_with_regions_to_ignore_only_is_not_known() -> None:
    present, known = presence([truth((PERSON, LEFT), ignored=(0,)), truth((PERSON, LEFT)), truth()])
    assert present[:, PERSON].tolist() == [False, True, False]
    assert known[:, PERSON].tolist() == [False, True, True]
    assert known[:, KNIFE].all()


def test_the_threshold_for_a_precision_is_the_lowest_that_reaches_it() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.0])
    present = np.array([True, False, True, True, True])
    assert threshold_for(scores, present, 0.75) == 0.6
    assert threshold_for(scores, present, 0.9) == 0.9
    assert threshold_for(scores, ~present, 0.9) is None
    chosen = point(scores, present, 0.6)
    assert chosen.recall is not None
    assert chosen.precision is not None
    assert (chosen.recall.hits, chosen.recall.total, chosen.precision.total) == (3, 4, 4)


def test_equal_scores_are_picked_together() -> None:
    scores, present = np.array([0.5, 0.5]), np.array([True, False])
    assert threshold_for(scores, present, 0.9) is None
    assert threshold_for(scores, present, 0.5) == 0.5


def test_the_best_score_of_each_class_stands_for_the_image() -> None:
    scores = best_scores([found((KNIFE, 0.4, LEFT), (KNIFE, 0.6, RIGHT), (PERSON, 0.3, LEFT)), found()])
    assert scores.tolist() == [[0.3, 0.0, 0.6], [0.0, 0.0, 0.0]]


def test_the_report_tells_subsets_kinds_and_scenes_apart() -> None:
    truths = [
        truth((PERSON, LEFT), (KNIFE, RIGHT), subset="hands", kinds=("", "")),
        truth((ANIMAL, LEFT), subset="pasture", kinds=("sheep",)),
        truth((ANIMAL, LEFT), subset="pasture", kinds=("cow",)),
    ]
    seen = [
        found((PERSON, 0.9, LEFT), (KNIFE, 0.9, RIGHT)),
        found((ANIMAL, 0.9, LEFT), (PERSON, 0.9, RIGHT), (KNIFE, 0.9, RIGHT)),
        found((ANIMAL, 0.2, LEFT)),
    ]
    thresholds: dict[Group, float] = {"person": 0.5, "animal": 0.5, "knife": 0.5}
    report = evaluate(truths, seen, [0.010, 0.020, 0.030], thresholds, model="m", size=7)
    kinds = {kind: recall and recall.value for kind, recall in report.animal_kinds.items()}
    assert kinds == {"cow": 0.0, "sheep": 1.0}
    both, alarm = report.scene.complete["person+knife"], report.subsets["pasture"].false_alarms["knife"]
    assert both is not None
    assert alarm is not None
    assert (both.hits, both.total) == (1, 1)
    assert (alarm.hits, alarm.total) == (1, 2)
    assert report.scene.complete["person+animal+knife"] is None
    assert report.scene.mistaken is not None
    assert (report.scene.mistaken.hits, report.scene.mistaken.total) == (1, 3)
    assert report.latency_ms.median == 20.0
    assert report.classes["knife"].chosen.precision is not None
    assert report.classes["knife"].chosen.precision.value == 0.5


def test_a_threshold_is_judged_where_it_was_not_chosen() -> None:
    scores = np.array([0.9, 0.6, 0.5, 0.8, 0.7, 0.2])
    present = np.array([True, True, False, True, False, True])
    first = np.array([True, True, True, False, False, False])
    report = held_out(scores, present, first, 1.0)
    assert report is not None
    assert report.thresholds == (0.8, 0.6)  # of the first half by the second, and the other way round
    # at 0.8 the first half picks 0.9 alone; at 0.6 the second picks 0.8 and, wrongly, 0.7
    assert report.recall == share(2, 4)
    assert report.precision == share(2, 3)
    assert held_out(scores, np.zeros(6, bool), first, 1.0) is None
