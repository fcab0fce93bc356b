"""What the written files compute, against the same operators in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models_tflite.train.graph import Graph, Operator
from models_tflite.train.quantise import quantised
from models_tflite.train.tflite import Writer

SIDE = 8


def weights(rng: np.random.Generator, outputs: int, side: int, inputs: int) -> dict[str, Any]:
    kernel = rng.normal(0, 0.3, (outputs, side, side, inputs)).astype(np.float32)
    return {"kernel": kernel, "bias": rng.normal(0, 0.2, outputs).astype(np.float32)}


@pytest.fixture
def graph() -> Graph:
    """Every kind of operator once, in a network with two levels."""
    rng = np.random.default_rng(3)
    first = weights(rng, 4, 3, 3)
    first["kernel"] /= 255
    steps = (
        Operator("convolution", ("image",), "fine", **first, relu=True),
        Operator("convolution", ("fine",), "small", **weights(rng, 4, 3, 4), stride=2, relu=True),
        Operator("pool", ("small",), "pooled"),
        Operator("sum", ("small", "pooled"), "added"),
        Operator("upsample", ("added",), "large"),
        Operator("concatenation", ("large", "fine"), "joined"),
        Operator("convolution", ("joined",), "head/fine", **weights(rng, 2, 1, 8)),
        Operator("convolution", ("added",), "head/coarse", **weights(rng, 2, 1, 4)),
        Operator("flatten", ("head/fine",), "cells/fine"),
        Operator("flatten", ("head/coarse",), "cells/coarse"),
        Operator("concatenation", ("cells/fine", "cells/coarse"), "cells"),
        Operator("sigmoid", ("cells",), "scores"),
    )
    half = SIDE // 2
    shapes = {
        "image": (1, SIDE, SIDE, 3),
        "fine": (1, SIDE, SIDE, 4),
        **dict.fromkeys(("small", "pooled", "added"), (1, half, half, 4)),
        "large": (1, SIDE, SIDE, 4),
        "joined": (1, SIDE, SIDE, 8),
        "head/fine": (1, SIDE, SIDE, 2),
        "head/coarse": (1, half, half, 2),
        "cells/fine": (1, SIDE**2, 2),
        "cells/coarse": (1, half**2, 2),
        **dict.fromkeys(("cells", "scores"), (1, SIDE**2 + half**2, 2)),
    }
    return Graph(steps, shapes, "image", ("scores", "cells"))


@pytest.fixture
def image() -> NDArray[np.float32]:
    return np.random.default_rng(5).integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.float32)


def computed(graph: Graph, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Every value of the graph, by definition: strided convolutions are padded by one at the top left."""
    values = {graph.input: image}
    for step in graph.operators:
        first = values[step.inputs[0]]
        if step.kind == "convolution":
            result = convolved(first[0], step)[None]
        elif step.kind == "pool":
            result = pooled(first[0])[None]
        elif step.kind == "sum":
            result = first + values[step.inputs[1]]
        elif step.kind == "upsample":
            result = first.repeat(2, axis=1).repeat(2, axis=2)
        elif step.kind == "concatenation":
            result = np.concatenate([values[name] for name in step.inputs], axis=3 if first.ndim == 4 else 1)
        elif step.kind == "flatten":
            result = first.reshape(1, -1, first.shape[-1])
        else:
            result = 1 / (1 + np.exp(-first))
        values[step.output] = result
    return values


def convolved(values: NDArray[np.float32], step: Operator) -> NDArray[np.float32]:
    assert step.kernel is not None
    side = step.kernel.shape[1]
    padded = np.pad(values, [(side // 2, side // 2), (side // 2, side // 2), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))[
        :: step.stride, :: step.stride
    ]
    result = np.einsum("yxchw,ohwc->yxo", windows, step.kernel) + step.bias
    return np.maximum(result, 0) if step.relu else result


def pooled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(values, [(2, 2), (2, 2), (0, 0)], constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(0, 1)).max(axis=(3, 4))


def run(content: bytes, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


def test_a_float16_file_computes_what_the_graph_says(graph: Graph, image: NDArray[np.float32]) -> None:
    values = computed(graph, image)
    scores, cells = run(Writer(graph, {}).file("test"), image)
    np.testing.assert_allclose(cells, values["cells"], atol=5e-3)
    np.testing.assert_allclose(scores, values["scores"], atol=1e-3)


def test_an_int8_file_computes_nearly_what_the_graph_says(graph: Graph, image: NDArray[np.float32]) -> None:
    values = computed(graph, image)
    ranges = {name: (float(value.min()), float(value.max())) for name, value in values.items()}
    integers, scales = quantised(graph, ranges)
    _, cells = run(Writer(integers, scales).file("test"), image)
    spread = values["cells"].max() - values["cells"].min()
    np.testing.assert_allclose(cells, values["cells"], atol=0.03 * spread)


def test_int8_files_hold_their_kernels_in_int8_and_speak_float32(graph: Graph, image: NDArray[np.float32]) -> None:
    values = computed(graph, image)
    integers, scales = quantised(graph, {name: (value.min(), value.max()) for name, value in values.items()})
    interpreter = Interpreter(model_content=Writer(integers, scales).file("test"), num_threads=1)
    interpreter.allocate_tensors()
    kinds = {detail["name"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    assert kinds["fine/kernel"] is np.int8
    assert kinds["joined"] is np.int8
    assert kinds["image"] is kinds["scores"] is np.float32


def test_what_is_only_passed_on_keeps_its_scale(graph: Graph, image: NDArray[np.float32]) -> None:
    values = computed(graph, image)
    _, scales = quantised(graph, {name: (value.min(), value.max()) for name, value in values.items()})
    told = {name: (float(scale.step[0]), scale.zero) for name, scale in scales.items()}
    assert told["joined"] == told["large"] == told["fine"] == told["added"]
    assert told["head/fine"] != told["head/coarse"]


def test_multiplications_are_counted(graph: Graph) -> None:
    assert graph.multiplications == 64 * 4 * 27 + 16 * 4 * 36 + 64 * 2 * 8 + 16 * 2 * 4
