"""What a teacher model sees on each training image: boxes, COCO classes and scores, found once and kept in a file.

The student learns from them as further targets (see `data.py`); the teacher's weights are not copied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models_tflite.train.boxes import suppress

COCO_CLASSES = 80
PAD = 114
SCORE_FLOOR = 0.25
OVERLAP = 0.6

Seen = NDArray[np.float32]  # [n, 6]: x1, y1, x2, y2 in pixels, COCO class 0 to 79, score


class Teacher:
    """YOLOX-Nano (Ge et al., 2021) as a TFLite file that takes BGR planes, 0 to 255, letterboxed at the top left."""

    def __init__(self, path: Path) -> None:
        self._interpreter = Interpreter(str(path), num_threads=2)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self.size = int(self._input["shape"][2])

    def look(self, image: NDArray[np.uint8]) -> Seen:
        """Boxes on an RGB image `[height, width, 3]`, those of its mirror image joined in."""
        width = image.shape[1]
        mirrored = self._detect(image[:, ::-1])
        mirrored[:, [0, 2]] = width - mirrored[:, [2, 0]]
        return suppress(np.concatenate([self._detect(image), mirrored]), OVERLAP)

    def _detect(self, image: NDArray[np.uint8]) -> Seen:
        height, width = image.shape[:2]
        scale = self.size / max(height, width)
        resized = cv2.resize(image, (round(width * scale), round(height * scale)))
        canvas = np.full((self.size, self.size, 3), PAD, np.float32)
        canvas[: resized.shape[0], : resized.shape[1]] = resized[:, :, ::-1]
        self._interpreter.set_tensor(self._input["index"], canvas.transpose(2, 0, 1)[None])
        self._interpreter.invoke()
        cells = self._interpreter.get_tensor(self._output["index"])[0]
        classes = cells[:, 5:].argmax(axis=1)
        scores = cells[:, 4] * cells[np.arange(len(cells)), 5 + classes]
        kept = scores >= SCORE_FLOOR
        columns, rows, strides = _grid(self.size)
        centres = (cells[:, :2] + np.stack([columns, rows], axis=1)) * strides[:, None]
        halves = np.exp(np.minimum(cells[:, 2:4], 8.0)) * strides[:, None] / 2
        found = np.concatenate(
            [(centres - halves) / scale, (centres + halves) / scale, classes[:, None], scores[:, None]], axis=1
        )
        found[:, :4] = found[:, :4].clip(0, [width, height, width, height])
        return found[kept].astype(np.float32)


def _grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    columns, rows, strides = [], [], []
    for stride in (8, 16, 32):
        cells = size // stride
        row, column = np.mgrid[:cells, :cells].astype(np.float32)
        columns.append(column.ravel())
        rows.append(row.ravel())
        strides.append(np.full(cells * cells, stride, np.float32))
    return np.concatenate(columns), np.concatenate(rows), np.concatenate(strides)


def look_at_all(
    teacher: Teacher, names: Iterable[str], read: Callable[[str], NDArray[np.uint8]], cache: Path
) -> dict[str, Seen]:
    """The teacher's boxes for every named image; read from `cache` when an earlier run has left them there."""
    if cache.exists():
        kept = json.loads(cache.read_text())
        return {name: np.array(boxes, np.float32).reshape(-1, 6) for name, boxes in kept.items()}
    seen = {name: teacher.look(read(name)) for name in names}
    cache.write_text(json.dumps({name: np.round(boxes, 4).tolist() for name, boxes in seen.items()}))
    return seen
