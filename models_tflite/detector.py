"""A detector: a TFLite model fed and read as its row of the manifest says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_tflite.decoders import DECODERS, Floats, suppressed
from models_tflite.manifest import DetectorEntry
from shared.domain.verdict import GROUPS, Box, Model
from shared.errors import QurbaniError
from shared.evidence.frames import Fit

_CANDIDATES = 200
"""Of each group, the best this many go into the suppression, however cluttered the picture."""


class TfliteDetector:
    """Implements :class:`shared.evidence.scene.Detector`. Not to be shared between threads."""

    def __init__(self, path: Path, entry: DetectorEntry, threads: int = 1) -> None:
        """Load ``path`` to run on ``threads`` threads.

        Raises ``model_damaged``, ``missing_extra``, or ``misconfigured`` for a row that contradicts itself.
        """
        if entry.output.decoder not in DECODERS:
            raise QurbaniError("misconfigured", f"{entry.name}: no decoder is called {entry.output.decoder!r}")
        self.model = Model(entry.name, entry.version)
        self.fit = Fit(entry.input.width, entry.input.height, entry.input.pixels)
        self.rule = entry.rule
        self._entry = entry
        self._decode = DECODERS[entry.output.decoder]
        self._weights = _weights(entry)
        try:
            self._interpreter = _interpreter()(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise QurbaniError("model_damaged", f"{path.name} cannot be loaded") from error
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        """The boxes in ``picture`` ``[height, width, 3]``, which lies within ``fit``; suppressed, group by group.

        A box's score is that of its group: the scores of the group's labels at that place, weighted and added up.
        """
        self._interpreter.set_tensor(self._input["index"], self._prepared(picture))
        self._interpreter.invoke()
        outputs = [_numbers(self._interpreter.get_tensor(detail["index"]), detail) for detail in self._outputs]
        boxes, scores = self._decode(outputs, self._entry.input, self._entry.output)
        groups = np.minimum(scores @ self._weights, 1)
        height, width = picture.shape[:2]
        corners: Floats = np.clip(boxes / np.array([width, height, width, height], np.float32), 0, 1)
        return [box for column in range(len(GROUPS)) for box in self._boxes(corners, scores, groups[:, column], column)]

    def _prepared(self, picture: NDArray[np.uint8]) -> NDArray[Any]:
        """The input tensor: padded, scaled, in the model's layout and type."""
        wanted = self._entry.input
        canvas = np.full((wanted.height, wanted.width, 3), wanted.pad, np.uint8)
        canvas[: picture.shape[0], : picture.shape[1]] = picture
        values = canvas.astype(np.float32) * wanted.scale + wanted.offset
        if wanted.layout == "nchw":
            values = values.transpose(2, 0, 1)
        scale, zero = self._input["quantization"]
        kind = self._input["dtype"]
        if scale:
            values = np.clip(np.round(values / scale + zero), np.iinfo(kind).min, np.iinfo(kind).max)
        return np.ascontiguousarray(values[None], kind)

    def _boxes(self, corners: Floats, scores: Floats, group: Floats, column: int) -> list[Box]:
        name = GROUPS[column]
        best = np.argsort(-group, kind="stable")[:_CANDIDATES]
        best = best[group[best] >= self.rule.thresholds[name].absent]
        kept = best[suppressed(corners[best], group[best], self._entry.output.overlap)]
        labels = np.argmax(scores[kept] * self._weights[:, column], axis=1)
        numbers = np.column_stack([group[kept], corners[kept]]).astype(float).round(3).tolist()
        names = (self._entry.output.labels[label] for label in labels)
        return [Box(name, label, *row) for label, row in zip(names, numbers, strict=True)]


def _weights(entry: DetectorEntry) -> Floats:
    """How much each label counts for each group, ``[labels, groups]``."""
    weights = np.zeros((len(entry.output.labels), len(GROUPS)), np.float32)
    for column, group in enumerate(GROUPS):
        for label, weight in entry.groups[group].items():
            if label not in entry.output.labels:
                raise QurbaniError("misconfigured", f"{entry.name}: {label!r} is not among its labels")
            weights[entry.output.labels.index(label), column] = weight
    return weights


def _numbers(tensor: NDArray[Any], detail: dict[str, Any]) -> Floats:
    scale, zero = detail["quantization"]
    values = tensor.astype(np.float32)
    return (values - zero) * scale if scale else values


def _interpreter() -> Callable[..., Any]:
    """The interpreter under its present name, or under its former one where only that has wheels (32-bit Arm)."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ModuleNotFoundError as error:
            message = "no TFLite interpreter is installed: pip install 'qurbani[evidence]'"
            raise QurbaniError("missing_extra", message) from error
    return Interpreter  # type: ignore[no-any-return]
