"""TFLite files, opened."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
}


def parsed(model: bytes) -> Any:
    """The file's content as objects of its schema."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def packed(document: Any) -> bytes:
    """The file of such objects."""
    builder = flatbuffers.Builder(1 << 22)
    builder.Finish(document.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def content(document: Any, tensor: Any) -> NDArray[Any]:
    """A constant's numbers in its shape."""
    stored = document.buffers[tensor.buffer].data.tobytes()
    return np.frombuffer(stored, _TYPES[tensor.type]).reshape(tensor.shape).copy()
