"""A folder of labelled images to judge a detector on: a COCO `annotations.json` and the images that it names.

The categories are person, animal and knife. Further fields are used where they are there: an image's `split`,
`subset` and `scene_group` (images of one clip or look); of a box `iscrowd` (a region to leave out of judging),
`pseudo` (drawn by another detector) and `animal_kind`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from models_tflite.evaluate import Found, SceneEvaluation, Truth, evaluate
from shared.domain.verdict import GROUPS, Box
from shared.errors import QurbaniError
from shared.evidence.frames import Fit
from shared.evidence.scene import Detector, Rule


def judge_scenes(
    truths: Sequence[Truth], folder: Path, detector: Detector, rule: Rule, size: int, progress: Callable[[float], None]
) -> SceneEvaluation:
    """The report on one detector looking at every image.

    Args:
        truths: what the images in the folder show, see :func:`read_truths`.
        folder: where the images lie.
        detector: should be :func:`models_tflite.manifest.sensitive`.
        rule: the detector's own, with the thresholds from which it is believed.
        size: of its file, in bytes.
        progress: is told the share of images done.

    Raises ``bad_dataset`` when an image cannot be read.
    """
    found, seconds = [], []
    for done, truth in enumerate(truths, 1):
        picture, scale = as_picture(folder / truth.file_name, detector.fit)
        started = time.perf_counter()
        boxes = detector.detect(picture)
        seconds.append(time.perf_counter() - started)
        found.append(_found(boxes, picture.shape[1] / scale, picture.shape[0] / scale))
        progress(done / len(truths))
    thresholds = {group: rule.thresholds[group].present for group in GROUPS}
    return evaluate(truths, found, seconds, thresholds, model=detector.model.name, size=size)


def read_truths(folder: Path, split: str = "") -> list[Truth]:
    """What ``annotations.json`` says of each image. Of images that are in a split, only those of a named one.

    Raises ``bad_dataset`` when the file is missing, is not COCO, names other categories or has no such images.
    """
    path = folder / "annotations.json"
    try:
        document = _Document.read(path.read_bytes())
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise QurbaniError("bad_dataset", f"{path}: {error}") from error
    kinds = {category.id: category.name for category in document.categories}
    if set(kinds.values()) != set(GROUPS):
        raise QurbaniError("bad_dataset", f"{path}: the categories are not person, animal and knife")
    by_image: dict[int, list[_Annotation]] = {}
    for annotation in document.annotations:
        by_image.setdefault(annotation.image_id, []).append(annotation)
    images = [image for image in document.images if not (split and image.split) or image.split == split]
    if not images:
        raise QurbaniError("bad_dataset", f"{path}: no images" + (f" in the split {split}" if split else ""))
    return [_truth(image, by_image.get(image.id, []), kinds) for image in images]


def as_picture(path: Path, fit: Fit) -> tuple[NDArray[np.uint8], float]:
    """An image ``[height, width, 3]`` as large as fits, in the channels that are wanted, and how it was scaled.

    Raises ``bad_dataset`` when it cannot be read.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise QurbaniError("bad_dataset", f"{path}: {error}") from error
    return as_fitted(image, fit)


def as_fitted(image: Image.Image, fit: Fit) -> tuple[NDArray[np.uint8], float]:
    """An RGB image ``[height, width, 3]`` as large as fits, in the channels that are wanted, and how it was scaled."""
    scale = min(fit.width / image.width, fit.height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    return np.ascontiguousarray(pixels[:, :, ::-1] if fit.pixels == "bgr24" else pixels), scale


def _found(boxes: Sequence[Box], width: float, height: float) -> Found:
    corners = np.array([(box.left, box.top, box.right, box.bottom) for box in boxes], float).reshape(-1, 4)
    return Found(
        corners * (width, height, width, height),
        np.array([GROUPS.index(box.group) for box in boxes], int),
        np.array([box.score for box in boxes], float),
    )


class _Category(msgspec.Struct):
    id: int
    name: str


class _Image(msgspec.Struct):
    id: int
    file_name: str
    split: str = ""
    subset: str = ""
    scene_group: str = ""


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    pseudo: bool = False
    animal_kind: str | None = None


class _Document(msgspec.Struct):
    categories: list[_Category]
    images: list[_Image]
    annotations: list[_Annotation]

    @classmethod
    def read(cls, content: bytes) -> _Document:
        return msgspec.json.decode(content, type=cls)


def _truth(image: _Image, annotations: Sequence[_Annotation], kinds: dict[int, str]) -> Truth:
    boxes = np.array([one.bbox for one in annotations], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    solid_kinds = tuple("" if one.iscrowd else one.animal_kind or "" for one in annotations)
    return Truth(
        image.file_name,
        image.subset,
        boxes,
        np.array([GROUPS.index(kinds[one.category_id]) for one in annotations], int),  # type: ignore[arg-type]
        np.array([bool(one.iscrowd) for one in annotations], bool),
        np.array([one.pseudo for one in annotations], bool),
        solid_kinds,
        image.scene_group or image.file_name,
    )
