"""What a teacher model says of every cell of a training picture: the student learns to say the same.

Function matching (Beyer et al., "Knowledge distillation: a good teacher is patient and consistent", 2022): teacher and
student look at the same crop of the same picture, at the same size, and the strides of both are alike, so that each
cell of one has its cell in the other. The teacher's weights are not copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models_tflite.train.file import content, packed, parsed

COCO_CLASSES = 80
PERSON, SHEEP, COW = 0, 18, 19
STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class Answers:
    """Of every cell of `n` pictures, in the order of the student's cells.

    scores: `[n, cells, 80]`, how sure each COCO class is, 0 to 1.
    boxes: `[n, cells, 4]`, x1, y1, x2, y2 in pixels.
    """

    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]


class Teacher:
    """YOLOX-Nano (Ge et al., 2021) as a TFLite file that takes BGR planes, 0 to 255."""

    def __init__(self, path: Path) -> None:
        self._model = path.read_bytes()
        self._interpreters: dict[int, Interpreter] = {}

    def look(self, images: NDArray[np.uint8]) -> Answers:
        """The answers on RGB squares `[n, size, size, 3]`, size a multiple of 32."""
        size = images.shape[1]
        if size not in self._interpreters:
            self._interpreters[size] = Interpreter(model_content=resized(self._model, size), num_threads=1)
            self._interpreters[size].allocate_tensors()
        interpreter = self._interpreters[size]
        source = interpreter.get_input_details()[0]["index"]
        target = interpreter.get_output_details()[0]["index"]
        planes = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2), np.float32)
        cells = []
        for one in planes:
            interpreter.set_tensor(source, one[None])
            interpreter.invoke()
            cells.append(interpreter.get_tensor(target)[0])
        return _answers(np.stack(cells), size)


def _answers(cells: NDArray[np.float32], size: int) -> Answers:
    """From `[n, cells, 85]`: centre and logarithm of the sides in strides, objectness, 80 classes."""
    corners, strides = _grid(size)
    centres = (cells[..., :2] + corners) * strides
    halves = np.exp(np.minimum(cells[..., 2:4], 8.0)) * strides / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=-1).clip(0, size)
    return Answers(cells[..., 4:5] * cells[..., 5:], boxes)


def _grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of every cell its column and row `[cells, 2]` and its stride `[cells, 1]`."""
    corners, strides = [], []
    for stride in STRIDES:
        cells = size // stride
        rows, columns = np.mgrid[:cells, :cells].astype(np.float32)
        corners.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((cells * cells, 1), stride, np.float32))
    return np.concatenate(corners), np.concatenate(strides)


def resized(model: bytes, size: int) -> bytes:
    """The same network for squares of another size: the constants that hold its own size are scaled."""
    document = parsed(model)
    graph = document.subgraphs[0]
    own = int(graph.tensors[graph.inputs[0]].shape[2])
    for operator in graph.operators:
        code = document.operatorCodes[operator.opcodeIndex].builtinCode
        if code == schema.BuiltinOperator.STRIDED_SLICE:
            _scale(document, graph.tensors[operator.inputs[2]], size, own)
        elif code in (schema.BuiltinOperator.RESHAPE, schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR):
            _scale(document, graph.tensors[operator.inputs[1]], size, own)
    graph.tensors[graph.inputs[0]].shape = [1, 3, size, size]
    return packed(document)


def _scale(document: Any, tensor: Any, size: int, own: int) -> None:
    """Scales those numbers of an integer constant that are a side of the picture at some stride."""
    numbers = content(document, tensor)
    sides = {own // stride: size // stride for stride in (1, 2, *STRIDES)}
    document.buffers[tensor.buffer].data = np.frombuffer(
        np.array([sides.get(int(number), number) for number in numbers], np.int32).tobytes(), np.uint8
    )
