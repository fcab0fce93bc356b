"""Clips built from labelled images, and the rule that is fitted to them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models_tflite.clips import KINDS, SECONDS, SIZE, Kind, Studio
from models_tflite.rules import FALSE, Shot, event, fit, judge_shots, shoot
from models_tflite.scenes import read_truths
from shared.domain.verdict import GROUPS, Box, Frame, Model
from shared.errors import QurbaniError
from shared.evidence.frames import Fit
from shared.evidence.scene import Rule, Threshold, confirmed

MODEL = Model("colours", "1")
COLOURS = {"person": (220, 40, 40), "animal": (40, 220, 40), "knife": (40, 40, 220)}
SHOWN = {"all": "pak", "no person": "ak", "no animal": "pk", "no knife": "pa", "other object": "pa", "as found": ""}


class Colours:
    """Finds red persons, green animals and blue knives."""

    model = MODEL
    fit = Fit(96, 96, "rgb24")
    rule = Rule({group: Threshold(0.5, 0.1) for group in GROUPS}, 3, 5)

    def detect(self, picture: np.ndarray) -> list[Box]:
        boxes = []
        for channel, group in enumerate(GROUPS):
            others = np.delete(picture, channel, axis=2).max(axis=2).astype(int)
            share = (picture[:, :, channel].astype(int) - others > 50).mean()
            if share > 0.001:
                boxes.append(Box(group, group, min(0.5 + 20 * float(share), 0.95), 0, 0, 1, 1))
        return boxes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Grey pictures: an armed person, a person, an animal, a knife and nothing, a dozen of each."""
    images, annotations = [], []
    shows = {
        "armed": {"person": (20, 10, 80, 110), "knife": (85, 50, 105, 60)},
        "person": {"person": (20, 10, 100, 110)},
        "animal": {"animal": (10, 20, 110, 100)},
        "knife": {"knife": (30, 40, 90, 80)},
        "nothing": {},
    }
    for number in range(60):
        kind = list(shows)[number % 5]
        pixels = np.full((120, 120, 3), 120, np.uint8)
        for group, (left, top, right, bottom) in shows[kind].items():
            pixels[top:bottom, left:right] = COLOURS[group]
            category = GROUPS.index(group) + 1  # type: ignore[arg-type]
            box = [left, top, right - left, bottom - top]
            annotations.append({"image_id": number, "category_id": category, "bbox": box})
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"})
    categories = [{"id": index + 1, "name": group} for index, group in enumerate(GROUPS)]
    document = {"categories": categories, "images": images, "annotations": annotations}
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    return tmp_path


def test_clips_show_what_their_kind_says(folder: Path) -> None:
    truths = read_truths(folder)
    clips = list(Studio(truths, folder).clips(18, 3))
    again = next(Studio(truths, folder).clips(1, 3))
    np.testing.assert_array_equal(clips[0].pictures, again.pictures)
    assert [clip.true for clip in clips[:4]] == [True, False, False, True]
    assert {clip.kind for clip in clips} == set(KINDS)
    looking = Colours()
    for clip in clips:
        assert clip.pictures.shape == (SECONDS, SIZE[1], SIZE[0], 3)
        seen = {box.group for picture in clip.pictures for box in looking.detect(picture)}
        if clip.true:
            whole = [len({box.group for box in looking.detect(picture)}) == len(GROUPS) for picture in clip.pictures]
            assert sum(whole) >= SECONDS / 2  # and not out of view or under another piece
        if clip.kind != "as found":
            assert {group[0] for group in seen} == set(SHOWN[clip.kind])
        else:
            assert seen != set(GROUPS)


def test_clips_cannot_be_built_from_nothing_but_knives(folder: Path) -> None:
    knives = [truth for truth in read_truths(folder) if set(truth.classes.tolist()) == {GROUPS.index("knife")}]
    with pytest.raises(QurbaniError) as missed:
        Studio(knives, folder)
    assert missed.value.code == "bad_dataset"


def test_a_detector_is_shown_the_clips_of_both_halves(folder: Path) -> None:
    done: list[float] = []
    (shots,) = shoot(read_truths(folder), folder, [Colours()], 24, 1, done.append)
    assert [one.first for one in shots] == [True] * 12 + [False] * 12
    assert done[-1] == 1.0
    report = judge_shots(shots, Colours.rule, MODEL)
    assert report.chosen.mistaken is not None
    assert report.chosen.mistaken.hits == 0
    assert report.chosen.found is not None
    assert report.chosen.found.value >= 0.75


def shot(kind: Kind, first: bool, *scores: tuple[float, float, float]) -> Shot:
    return Shot(kind, first, tuple(Frame(float(time), *three) for time, three in enumerate(scores)))


def shots() -> list[Shot]:
    """Scores drawn so that a group that is shown mostly scores higher, never surely."""
    rng = np.random.default_rng(5)
    made = []
    for number in range(600):
        kind = KINDS[number % len(KINDS)]
        means = [1.6 if letter in SHOWN[kind] else -1.6 for letter in "pak"]
        odds = rng.normal(means, 1.2, (SECONDS, 3))
        rows = (1 / (1 + np.exp(-odds))).tolist()
        made.append(shot(kind, number // len(KINDS) % 2 == 0, *((row[0], row[1], row[2]) for row in rows)))
    return made


def test_a_fitted_rule_keeps_false_alarms_rare_where_it_was_not_fitted() -> None:
    made = shots()
    rule = fit(made)
    others = [one for one in made if one.kind != "all"]
    assert sum(confirmed(one.frames, rule) for one in others) <= FALSE * len(others)
    assert all(curve.slope > 0 for curve in rule.calibration.values())
    report = judge_shots(made, rule, MODEL)
    assert report.held_out.mistaken is not None
    assert report.held_out.found is not None
    assert report.single.found is not None
    assert report.held_out.mistaken.value <= 0.02
    assert report.held_out.found.value > report.single.found.value  # neighbours help
    assert max(report.calibration_error.values()) < 0.1


def test_an_event_is_as_likely_as_its_weakest_vote() -> None:
    rule = fit(shots())
    sure, gone = (0.99, 0.99, 0.99), (0.0, 0.0, 0.0)
    apart, near = [sure, gone, gone, sure, gone], [gone, sure, gone, sure, gone]
    assert event(shot("all", True, *apart).frames, rule) == 0
    assert event(shot("all", True, *near).frames, rule) > 0.9
