"""Writes a graph as a TFLite file: float32 values with float16 kernels, or int8 throughout."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models_tflite.train.file import packed
from models_tflite.train.graph import Graph, Operator
from models_tflite.train.quantise import Scale, Scales, stored_bias, stored_kernel

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}
_PLAIN = {
    "sum": ("ADD", schema.AddOptionsT),
    "quantise": ("QUANTIZE", schema.QuantizeOptionsT),
    "restore": ("DEQUANTIZE", schema.DequantizeOptionsT),
    "sigmoid": ("LOGISTIC", None),
}
# The oldest version of each operator that knows int8 values and, for DEQUANTIZE, float16 kernels.
_VERSIONS = {
    "ADD": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEQUANTIZE": 3,
    "LOGISTIC": 1,
    "MAX_POOL_2D": 2,
    "PAD": 2,
    "QUANTIZE": 1,
    "RESHAPE": 1,
    "RESIZE_NEAREST_NEIGHBOR": 2,
}


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """The format wants every buffer on a 16-byte boundary, which the generated code leaves to chance."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        if self.data is None:
            return int(super().Pack(builder))
        content = self.data.tobytes()
        builder.StartVector(1, len(content), 16)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class Writer:
    """Collects the tensors and operators of one file.

    Args:
        graph: what to write.
        scales: of the values that are int8; all others are float32, and then the kernels float16, with a conversion
            that the interpreter does once when it loads.
    """

    def __init__(self, graph: Graph, scales: Scales) -> None:
        self._graph = graph
        self._scales = scales
        self._buffers: list[Any] = [_Buffer()]
        self._tensors: list[Any] = []
        self._index: dict[str, int] = {}
        self._codes: list[str] = []
        self._operators: list[Any] = []

    def file(self, description: str) -> bytes:
        """The TFLite file."""
        self._value(self._graph.input)
        for step in self._graph.operators:
            self._add(step)
        subgraph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=[self._index[self._graph.input]],
            outputs=[self._index[name] for name in self._graph.outputs],
            operators=self._operators,
            name="main",
        )
        codes = [_code(operator) for operator in self._codes]
        model = schema.ModelT(
            version=3, operatorCodes=codes, subgraphs=[subgraph], buffers=self._buffers, description=description
        )
        return packed(model)

    def _add(self, step: Operator) -> None:
        shape = self._graph.shapes[step.output]
        if step.kind == "convolution":
            self._convolve(step)
        elif step.kind == "concatenation":  # of channels, or of the cells of all levels
            axis = 3 if len(shape) == 4 else 1
            self._emit("CONCATENATION", step.inputs, step.output, schema.ConcatenationOptionsT(axis=axis))
        elif step.kind == "pool":
            options = schema.Pool2DOptionsT(
                padding=schema.Padding.SAME, strideW=1, strideH=1, filterWidth=5, filterHeight=5
            )
            self._emit("MAX_POOL_2D", step.inputs, step.output, options)
        elif step.kind == "upsample":
            size = self._constant(f"{step.output}/size", np.array(shape[1:3], np.int32))
            options = schema.ResizeNearestNeighborOptionsT()
            self._emit("RESIZE_NEAREST_NEIGHBOR", (*step.inputs, size), step.output, options)
        elif step.kind == "flatten":
            name = self._constant(f"{step.output}/shape", np.array(shape, np.int32))
            self._emit("RESHAPE", (*step.inputs, name), step.output, schema.ReshapeOptionsT(newShape=list(shape)))
        else:
            operator, options = _PLAIN[step.kind]
            self._emit(operator, step.inputs, step.output, options and options())

    def _convolve(self, step: Operator) -> None:
        source = self._padded(step.inputs[0]) if step.stride == 2 else step.inputs[0]
        weights = self._integer_weights(step) if step.output in self._scales else self._half_weights(step)
        options = schema.Conv2DOptionsT(
            padding=schema.Padding.VALID if step.stride == 2 else schema.Padding.SAME,
            strideW=step.stride,
            strideH=step.stride,
            fusedActivationFunction=schema.ActivationFunctionType.RELU if step.relu else 0,
        )
        self._emit("CONV_2D", (source, *weights), step.output, options)

    def _padded(self, source: str) -> str:
        """TFLite's own padding of a strided convolution lies at the other end than the trained one."""
        _, rows, columns, channels = self._graph.shapes[source]
        name = f"{source}/padded"
        self._tensor(name, (1, rows + 1, columns + 1, channels), self._kind(source), self._scales.get(source))
        margins = self._constant("margins", np.array([[0, 0], [1, 0], [1, 0], [0, 0]], np.int32))
        self._emit("PAD", (source, margins), name, schema.PadOptionsT())
        return name

    def _half_weights(self, step: Operator) -> tuple[str, str]:
        assert step.kernel is not None
        assert step.bias is not None
        kernel, bias = f"{step.output}/kernel", self._constant(f"{step.output}/bias", step.bias)
        if step.inputs[0] == self._graph.input:  # it holds the 1/255 of the pixels, too small for float16
            return self._constant(kernel, step.kernel), bias
        half = self._constant(f"{kernel}/half", step.kernel.astype(np.float16))
        self._tensor(kernel, step.kernel.shape, np.dtype(np.float32))
        self._emit("DEQUANTIZE", (half,), kernel, schema.DequantizeOptionsT())
        return kernel, bias

    def _integer_weights(self, step: Operator) -> tuple[str, str]:
        kernel, kernel_scale = stored_kernel(step)
        bias, bias_scale = stored_bias(step, self._scales[step.inputs[0]], kernel_scale)
        return (
            self._constant(f"{step.output}/kernel", kernel, kernel_scale),
            self._constant(f"{step.output}/bias", bias, bias_scale),
        )

    def _kind(self, name: str) -> np.dtype[Any]:
        return np.dtype(np.int8 if name in self._scales else np.float32)

    def _value(self, name: str) -> None:
        self._tensor(name, self._graph.shapes[name], self._kind(name), self._scales.get(name))

    def _constant(self, name: str, content: NDArray[Any], scale: Scale | None = None) -> str:
        if name not in self._index:
            self._buffers.append(_Buffer(data=np.ascontiguousarray(content)))
            self._tensor(name, content.shape, content.dtype, scale, buffer=len(self._buffers) - 1)
        return name

    def _tensor(
        self, name: str, shape: tuple[int, ...], kind: np.dtype[Any], scale: Scale | None = None, buffer: int = 0
    ) -> None:
        quantization = scale and schema.QuantizationParametersT(
            scale=scale.step, zeroPoint=np.full(len(scale.step), scale.zero, np.int64), quantizedDimension=0
        )
        self._index[name] = len(self._tensors)
        self._tensors.append(
            schema.TensorT(shape=list(shape), type=_TYPES[kind], buffer=buffer, name=name, quantization=quantization)
        )

    def _emit(self, operator: str, inputs: tuple[str, ...], output: str, options: Any) -> None:
        if operator not in self._codes:
            self._codes.append(operator)
        if output not in self._index:
            self._value(output)
        kind = type(options).__name__.removesuffix("T") if options else "NONE"
        self._operators.append(
            schema.OperatorT(
                opcodeIndex=self._codes.index(operator),
                inputs=[self._index[name] for name in inputs],
                outputs=[self._index[output]],
                builtinOptionsType=getattr(schema.BuiltinOptions, kind),
                builtinOptions=options,
            )
        )


def _code(operator: str) -> Any:
    number = getattr(schema.BuiltinOperator, operator)
    return schema.OperatorCodeT(deprecatedBuiltinCode=number, builtinCode=number, version=_VERSIONS[operator])
