"""Our own way to write boxes."""

from __future__ import annotations

import numpy as np

from models_tflite.decoders import distances
from models_tflite.manifest import Input, Output


def test_sides_are_measured_in_strides_from_the_middle_of_the_cell() -> None:
    shape = Input(width=64, height=32, layout="nhwc", pixels="rgb24", pad=114)
    output = Output(decoder="distances", strides=(16, 32), overlap=0.5, labels=("person",))
    scores = np.linspace(0, 1, 10, dtype=np.float32).reshape(1, 10, 1)
    sides = np.tile(np.array([1.0, 0.5, 2.0, 1.5], np.float32), (1, 10, 1))
    boxes, same = distances([scores, sides], shape, output)
    assert boxes[0].tolist() == [-8, 0, 40, 32]  # the first cell of 16 pixels, its middle at 8, 8
    assert boxes[5].tolist() == [8, 16, 56, 48]  # second row, second column
    assert boxes[9].tolist() == [16, 0, 112, 64]  # the last of 32 pixels, its middle at 48, 16
    np.testing.assert_array_equal(same, scores[0])
