"""Folders of labelled images, read and looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models_tflite.manifest import manifest, sensitive
from models_tflite.scenes import judge_scenes, read_truths
from shared.domain.verdict import GROUPS, Box, Model
from shared.errors import QurbaniError
from shared.evidence.frames import Fit
from shared.evidence.scene import Rule, Threshold

KNIFE, ANIMAL = GROUPS.index("knife"), GROUPS.index("animal")
CATEGORIES = [{"id": 7, "name": "knife"}, {"id": 8, "name": "person"}, {"id": 9, "name": "animal"}]


class RedIsAKnife:
    """Finds the red rectangle of a picture, if there is one."""

    model = Model("red", "1")
    rule = Rule({group: Threshold(0.5, 0.1) for group in GROUPS}, frames=1, within=1)

    def __init__(self, pixels: str) -> None:
        self.fit = Fit(64, 64, pixels)
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        self.shapes.append(picture.shape)
        red, blue = (2, 0) if self.fit.pixels == "bgr24" else (0, 2)
        rows, columns = np.nonzero((picture[:, :, red] > 200) & (picture[:, :, blue] < 100))
        if not len(rows):
            return []
        height, width = picture.shape[:2]
        sides = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
        return [Box("knife", "knife", 0.9, *(float(side) for side in sides))]


def write(folder: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> None:
    document = {"categories": CATEGORIES, "images": images, "annotations": annotations}
    (folder / "annotations.json").write_text(json.dumps(document))


@pytest.mark.parametrize("pixels", ["rgb24", "bgr24"])
def test_a_detector_looks_at_every_image_and_is_judged(tmp_path: Path, pixels: str) -> None:
    image = np.full((100, 200, 3), 255, np.uint8)
    image[20:60, 40:120] = (255, 0, 0)
    Image.fromarray(image).save(tmp_path / "red.png")
    Image.fromarray(np.full((100, 200, 3), 255, np.uint8)).save(tmp_path / "white.png")
    images = [{"id": 1, "file_name": "red.png"}, {"id": 2, "file_name": "white.png"}]
    write(tmp_path, images, [{"image_id": 1, "category_id": 7, "bbox": [40, 20, 80, 40]}])
    detector = RedIsAKnife(pixels)
    done: list[float] = []
    report = judge_scenes(read_truths(tmp_path), tmp_path, detector, detector.rule, 11, done.append)
    knife = report.classes["knife"]
    assert done == [0.5, 1.0]
    assert detector.shapes == [(32, 64, 3), (32, 64, 3)]
    assert knife.boxes is not None
    assert knife.boxes.value == 1.0
    assert knife.chosen.precision is not None
    assert (knife.chosen.precision.hits, knife.chosen.precision.total) == (1, 1)
    assert (report.model, report.bytes, report.images, report.thresholds["knife"]) == ("red", 11, 2, 0.5)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    write(tmp_path, [{"id": 1, "file_name": "a.jpg"}], [])
    with pytest.raises(QurbaniError, match="bad_dataset") as refused:
        judge_scenes(read_truths(tmp_path), tmp_path, RedIsAKnife("rgb24"), RedIsAKnife.rule, 1, [].append)
    assert "a.jpg" in str(refused.value.detail)


def test_a_coco_folder_is_read_with_its_splits_and_crowds(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.jpg", "split": "val"}, {"id": 2, "file_name": "b.jpg", "split": "train"}]
    annotations = [
        {"image_id": 1, "category_id": 7, "bbox": [10, 20, 5, 6]},
        {"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1], "iscrowd": 1, "animal_kind": "cow"},
    ]
    write(tmp_path, images, annotations)
    (only,) = read_truths(tmp_path, "val")
    assert only.boxes[0].tolist() == [10, 20, 15, 26]
    assert only.classes.tolist() == [KNIFE, ANIMAL]
    assert only.ignored.tolist() == [False, True]
    assert only.kinds == ("", "")
    assert len(read_truths(tmp_path)) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"categories": [], "images": [], "annotations": []}'])
def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(QurbaniError) as refused:
        read_truths(tmp_path)
    assert refused.value.code == "bad_dataset"


def test_images_that_are_in_no_split_are_in_all(tmp_path: Path) -> None:
    write(tmp_path, [{"id": 1, "file_name": "a.jpg"}], [])
    assert len(read_truths(tmp_path, "val")) == 1


def test_a_sensitive_detector_keeps_everything_but_its_thresholds() -> None:
    for plain in manifest().detector:
        lowered = sensitive(plain)
        assert lowered.rule.frames == plain.rule.frames
        assert lowered.rule.thresholds["knife"].absent < plain.rule.thresholds["knife"].present
        assert (lowered.name, lowered.sha256) == (plain.name, plain.sha256)


def test_a_split_without_images_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [{"id": 1, "file_name": "a.jpg", "split": "val"}], [])
    with pytest.raises(QurbaniError):
        read_truths(tmp_path, "test")


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QurbaniError):
        read_truths(tmp_path)
