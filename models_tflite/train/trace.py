"""From a network in PyTorch to its graph, by following what happens to an image."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models_tflite.train.data import CLASSES
from models_tflite.train.graph import Graph, Kind, Operator
from models_tflite.train.network import Detector


def deployed(network: Detector) -> Detector:
    """A copy that is fed 0 to 255 and knows our classes only."""
    copy = Detector(widths=network.widths, neck=network.neck)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    weights["stem.0.0.weight"] /= 255
    for name, value in weights.items():
        if ".logits." in name:
            weights[name] = value[: len(CLASSES)]
    copy.load_state_dict(weights)
    return copy.eval()


class Trace:
    """The graph of a deployed network for square images of one size, with the values that pass through it."""

    def __init__(self, network: Detector, size: int) -> None:
        self._module = fx.symbolic_trace(network)
        self._size = size

    def graph(self) -> Graph:
        """The network's operators; what it gives out are scores, 0 to 1, and distances in strides."""
        values = self._values(torch.zeros(1, 3, self._size, self._size))
        builder = _Builder(dict(self._module.named_modules()))
        for node in self._module.graph.nodes:
            builder.add(node)
        shapes = {node.name: _shape(values[node.name]) for node in self._module.graph.nodes if node.name in values}
        logits, distances = builder.results
        names = {distances: "distances"}
        steps = [replace(step, output=names.get(step.output, step.output)) for step in builder.steps]
        steps.append(Operator("sigmoid", (logits,), "scores"))
        shapes |= {"scores": shapes[logits], "distances": shapes[distances]}
        used = {name: shapes[name] for step in steps for name in (*step.inputs, step.output)}
        return Graph(tuple(steps), used, builder.input, ("scores", "distances"))

    def ranges(self, images: Iterable[Tensor]) -> dict[str, tuple[float, float]]:
        """The lowest and highest value seen at each point while the images `[1, 3, size, size]` pass."""
        seen: dict[str, tuple[float, float]] = {}
        for image in images:
            for name, value in self._values(image).items():
                low, high = seen.get(name, (0.0, 0.0))
                seen[name] = (min(low, value.min().item()), max(high, value.max().item()))
        return seen

    def _values(self, image: Tensor) -> dict[str, Tensor]:
        recorder = _Recorder(self._module)
        with torch.no_grad():
            recorder.run(image)
        return recorder.values


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.values[n.name] = result.clone()  # a ReLU in place would overwrite it
        return result


class _Builder:
    """Turns traced nodes into operators, one after the other."""

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self._modules = modules
        self._names: dict[str, str] = {}  # of the operator that yields a node's value
        self._steps: dict[str, Operator] = {}
        self._convolutions: dict[str, nn.Conv2d] = {}
        self.input = ""
        self.results: tuple[str, ...] = ()

    @property
    def steps(self) -> list[Operator]:
        return list(self._steps.values())

    def add(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self.input = self._names[node.name] = node.name
        elif node.op == "output":
            self.results = tuple(self._names[result.name] for result in node.args[0])
        elif node.op == "call_module":
            self._add_module(node, self._modules[node.target])
        elif node.target is torch.cat:
            self._append("concatenation", node, node.args[0])
        elif node.target is operator.add:
            self._append("sum", node, node.args)
        elif node.target == "flatten":  # the transposition that follows yields what flattening yields here
            self._names[node.name] = self._names[node.args[0].name]
        elif node.target == "transpose":
            self._append("flatten", node, node.args[:1])
        else:
            raise NotImplementedError(f"no operator for {node.format_node()}")

    def _add_module(self, node: fx.Node, module: nn.Module) -> None:
        source = node.args[0].name
        if isinstance(module, nn.Conv2d):
            self._convolve(node, source, module, relu=False)
        elif isinstance(module, nn.BatchNorm2d):
            folded = fuse_conv_bn_eval(self._convolutions[source], module)
            self._convolve(node, self._steps.pop(source).inputs[0], folded, relu=False)
        elif isinstance(module, nn.ReLU):
            convolution = self._steps.pop(source)
            self._convolve(node, convolution.inputs[0], self._convolutions[source], relu=True)
        elif isinstance(module, nn.MaxPool2d):
            self._append("pool", node, node.args)
        elif isinstance(module, nn.Upsample):
            self._append("upsample", node, node.args)
        else:
            raise NotImplementedError(f"no operator for {module}")

    def _convolve(self, node: fx.Node, source: str, module: nn.Conv2d, relu: bool) -> None:
        self._convolutions[node.name] = module
        kernel = module.weight.detach().permute(0, 2, 3, 1).contiguous().numpy()
        bias = torch.zeros(len(kernel)) if module.bias is None else module.bias.detach()
        self._names[node.name] = node.name
        self._steps[node.name] = Operator(
            "convolution", (self._names.get(source, source),), node.name, kernel, bias.numpy(), module.stride[0], relu
        )

    def _append(self, kind: Kind, node: fx.Node, sources: Iterable[fx.Node]) -> None:
        self._names[node.name] = node.name
        self._steps[node.name] = Operator(kind, tuple(self._names[source.name] for source in sources), node.name)


def _shape(value: Tensor) -> tuple[int, ...]:
    """Of a traced value, with the channels of a picture moved last."""
    if value.ndim == 4:
        return (1, value.shape[2], value.shape[3], value.shape[1])
    return tuple(value.shape)
