"""Training images with their targets, from a COCO-format folder.

Only images whose `licence_group` is `licensed` (or that carry no such field) are taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models_tflite.train.boxes import Boxes
from shared.domain.verdict import GROUPS

CLASSES = GROUPS
UNSEEN = 0.5  # how far the class of a box is true that a model has drawn and nobody has looked at


@dataclass(frozen=True)
class Example:
    """An image and what is to be found on it.

    image: RGB `[height, width, 3]`.
    boxes: `[n, 4]`, x1, y1, x2, y2 in pixels.
    targets: `[n, 3]`, how far each of `CLASSES` is true of the box, 0 to 1.
    ignored: `[m, 4]`, regions where the class of the same row in `ignored_classes` is neither rewarded nor punished.
    """

    image: NDArray[np.uint8]
    boxes: Boxes
    targets: NDArray[np.float32]
    ignored: Boxes
    ignored_classes: NDArray[np.int64]

    @property
    def height(self) -> int:
        return self.image.shape[0]

    @property
    def width(self) -> int:
        return self.image.shape[1]


@dataclass(frozen=True)
class Scene:
    """One image's entry in `annotations.json` with its boxes."""

    entry: dict[str, Any]
    annotations: tuple[dict[str, Any], ...]

    @property
    def file_name(self) -> str:
        return str(self.entry["file_name"])

    @property
    def subset(self) -> str:
        return str(self.entry.get("subset", ""))


def read_scenes(folder: Path, split: str) -> list[Scene]:
    """The licensed entries of one split, with category ids replaced by the index into `CLASSES`."""
    document = json.loads((folder / "annotations.json").read_text())
    index = {category["id"]: CLASSES.index(category["name"]) for category in document["categories"]}
    by_image: dict[int, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        one = {**annotation, "class": index[annotation["category_id"]]}
        by_image.setdefault(annotation["image_id"], []).append(one)
    return [
        Scene(entry, tuple(by_image.get(entry["id"], ())))
        for entry in document["images"]
        if entry.get("split", split) == split and entry.get("licence_group", "licensed") == "licensed"
    ]


def read_image(path: Path) -> NDArray[np.uint8]:
    """RGB pixels."""
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1])


def example_of(scene: Scene, image: NDArray[np.uint8]) -> Example:
    """A scene's labels. Boxes that a model has drawn and nobody has looked at are half true."""
    solid = [one for one in scene.annotations if not one.get("iscrowd")]
    crowd = [one for one in scene.annotations if one.get("iscrowd")]
    targets = np.zeros((len(solid), len(CLASSES)), np.float32)
    for row, one in enumerate(solid):
        targets[row, one["class"]] = UNSEEN if one.get("pseudo") and not one.get("reviewed") else 1
    return Example(
        image, _corners(solid), targets, _corners(crowd), np.array([one["class"] for one in crowd], np.int64)
    )


def _corners(annotations: Sequence[dict[str, Any]]) -> Boxes:
    boxes = np.array([one["bbox"] for one in annotations], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def sampling_weights(scenes: Sequence[Scene]) -> NDArray[np.float64]:
    """How often each scene is drawn: inversely to the square root of its subset's size, so that small subsets count."""
    sizes = Counter(scene.subset for scene in scenes)
    weights = np.array([sizes[scene.subset] ** -0.5 for scene in scenes])
    return weights / weights.sum()
