"""From raw numbers to boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_tflite.decoders import suppressed, yolox
from models_tflite.manifest import Input, Output

SHAPE = Input(64, 32, "nchw", "bgr24", 114)
OUTPUT = Output("yolox", (8, 16), 0.5, ("person", "sheep", "knife"))


def test_yolox_as_its_paper_says() -> None:
    """The formula written out cell by cell, beside the vectorised one."""
    grids = [(stride, np.ndindex(32 // stride, 64 // stride)) for stride in (8, 16)]
    cells = [(row, column, stride) for stride, grid in grids for row, column in grid]
    raw = np.random.default_rng(1).normal(0, 1, (1, len(cells), 8)).astype(np.float32)
    boxes, scores = yolox([raw], SHAPE, OUTPUT)
    assert boxes.shape == (len(cells), 4)
    assert scores.shape == (len(cells), 3)
    for at, (row, column, stride) in enumerate(cells):
        x, y, w, h, objectness, *classes = raw[0, at].tolist()
        centre_x, centre_y = (x + column) * stride, (y + row) * stride
        width, height = math.exp(w) * stride, math.exp(h) * stride
        expected = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
        assert boxes[at] == pytest.approx(expected, rel=1e-4, abs=1e-3)
        assert scores[at] == pytest.approx([objectness * score for score in classes], rel=1e-4, abs=1e-6)


def test_the_better_of_two_boxes_that_overlap_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], np.float32)
    scores = np.array([0.6, 0.9, 0.7], np.float32)
    assert suppressed(boxes, scores, overlap=0.5) == [1, 2]
    assert suppressed(boxes, scores, overlap=0.95) == [1, 2, 0]
    assert suppressed(boxes[:0], scores[:0], overlap=0.5) == []


corner = st.integers(0, 40)
box = st.tuples(corner, corner, st.integers(1, 20), st.integers(1, 20), st.integers(1, 1000))


def share_in_common(one: np.ndarray, two: np.ndarray) -> float:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    common = max(width, 0) * max(height, 0)
    return common / ((one[2] - one[0]) * (one[3] - one[1]) + (two[2] - two[0]) * (two[3] - two[1]) - common)


@given(st.lists(box, max_size=12))
def test_what_stays_does_not_overlap_and_what_goes_overlaps_a_better_one(rows: list[tuple[int, ...]]) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for *_, score in rows], np.float32)
    kept = suppressed(boxes, scores, overlap=0.4)
    for at in range(len(rows)):
        better = [other for other in kept if other != at and scores[other] >= scores[at]]
        overlaps = any(share_in_common(boxes[at], boxes[other]) >= 0.4 - 1e-6 for other in better)
        assert overlaps or at in kept
    for position, at in enumerate(kept):
        assert all(share_in_common(boxes[at], boxes[other]) < 0.4 for other in kept[:position])
