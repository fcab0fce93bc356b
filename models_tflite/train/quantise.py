"""From float32 to int8, by the TFLite specification: kernels per output channel and symmetric, values per tensor and
asymmetric, biases int32 (https://ai.google.dev/edge/litert/models/quantization_spec).

Inputs and outputs stay float32, so that both kinds of file are used alike. What is left after the last convolutions
(joining the levels, the sigmoid) is done in float32, where each level keeps a range of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models_tflite.train.graph import Graph, Operator

Ranges = dict[str, tuple[float, float]]
PIXELS = (0.0, 255.0)
# Operators that only pass values on must give them out on the scale on which they came in.
_PASSING = ("concatenation", "pool", "upsample")


@dataclass(frozen=True)
class Scale:
    """`real = (stored - zero) * step`, with one step per channel for kernels and biases."""

    step: NDArray[np.float32]
    zero: int = 0


Scales = dict[str, Scale]


def quantised(graph: Graph, ranges: Ranges) -> tuple[Graph, Scales]:
    """The graph with its float32 border drawn, and the scales of all that lies within.

    Args:
        graph: in float32.
        ranges: lowest and highest of every value, seen on calibration images.
    """
    steps: list[Operator] = [Operator("quantise", (graph.input,), "pixels")]
    shapes = {**graph.shapes, "pixels": graph.shapes[graph.input]}
    restored: set[str] = set()
    for step in graph.operators:
        if step.kind == "flatten":
            name = f"{step.inputs[0]}/float"
            shapes[name] = graph.shapes[step.inputs[0]]
            steps.append(Operator("restore", step.inputs, name))
            step = replace(step, inputs=(name,))
            restored.add(step.output)
        elif restored.intersection(step.inputs):
            restored.add(step.output)
        steps.append(replace(step, inputs=tuple("pixels" if name == graph.input else name for name in step.inputs)))
    inside = [step for step in steps if step.kind != "restore" and not {step.output, *step.inputs} & restored]
    inside = [step for step in inside if step.kind != "flatten"]
    return replace(graph, operators=tuple(steps), shapes=shapes), _scales(inside, {**ranges, "pixels": PIXELS})


def stored_kernel(step: Operator) -> tuple[NDArray[np.int8], Scale]:
    """A kernel, -127 to 127, the largest of each output channel at the end of the range."""
    assert step.kernel is not None
    largest = np.abs(step.kernel).max(axis=(1, 2, 3))
    steps = np.maximum(largest / 127, 1e-9).astype(np.float32)
    return np.round(step.kernel / steps[:, None, None, None]).astype(np.int8), Scale(steps)


def stored_bias(step: Operator, source: Scale, kernel: Scale) -> tuple[NDArray[np.int32], Scale]:
    """A bias on the scale of the products that it is added to."""
    assert step.bias is not None
    steps = (kernel.step * source.step).astype(np.float32)
    limits = np.iinfo(np.int32)
    return np.round(step.bias / steps).clip(limits.min, limits.max).astype(np.int32), Scale(steps)


def _scales(steps: list[Operator], ranges: Ranges) -> Scales:
    groups: dict[str, set[str]] = {}
    for step in steps:
        groups.setdefault(step.output, {step.output})
        if step.kind in _PASSING:
            joined = set().union(*(groups[name] for name in (*step.inputs, step.output)))
            groups.update(dict.fromkeys(joined, joined))
    return {name: _scale_of([ranges[one] for one in group]) for name, group in groups.items()}


def _scale_of(ranges: list[tuple[float, float]]) -> Scale:
    low, high = min(0.0, *(low for low, _ in ranges)), max(0.0, *(high for _, high in ranges))
    step = max((high - low) / 255, 1e-9)
    return Scale(np.array([step], np.float32), round(-128 - low / step))
