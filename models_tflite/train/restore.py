"""From an exported file back to a network that can be trained on.

Export folds each batch normalisation into the convolution before it. Here the kernels are taken apart again: each
output channel gets a norm usual at the start of a training, and a normalisation, measured on pictures, that restores
what it gave. The function stays the same, in training mode (up to the batch's own statistics) as well. The
teacher's classes, which export cuts off, start anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import Tensor, nn

from models_tflite.train.file import content, parsed
from models_tflite.train.network import Detector

KERNEL_NORM = 0.58  # of a channel's kernel as PyTorch starts it: uniform within 1 / sqrt(fan in)


@torch.no_grad()
def restore(network: Detector, model: bytes, images: Sequence[Tensor]) -> None:
    """Gives a network the weights of an exported float16 file.

    Args:
        network: of the exported network's widths.
        model: the file.
        images: batches `[n, 3, size, size]`, 0 to 1, to measure the normalisations on.
    """
    stored = _convolutions(parsed(model))
    places = _places(network)
    if len(stored) != len(places):
        raise ValueError(f"the file has {len(stored)} convolutions, the network {len(places)}")
    normalisations: list[nn.BatchNorm2d] = []
    for index, ((kernel, bias), (convolution, normalisation)) in enumerate(zip(stored, places, strict=True)):
        weights = torch.from_numpy(kernel.astype(np.float32)).permute(0, 3, 1, 2)
        if index == 0:  # the file is fed 0 to 255
            weights = weights * 255
        if normalisation is None:
            convolution.weight[: len(weights)] = weights
            convolution.bias[: len(bias)] = torch.from_numpy(bias)  # type: ignore[index]
            continue
        norm = weights.flatten(1).norm(dim=1).clamp(min=1e-6) / KERNEL_NORM
        convolution.weight.copy_(weights / norm[:, None, None, None])
        normalisation.running_mean.zero_()  # type: ignore[union-attr]
        normalisation.running_var.fill_(1 - normalisation.eps)  # type: ignore[union-attr]
        normalisation.weight.copy_(norm)
        normalisation.bias.copy_(torch.from_numpy(bias))
        normalisations.append(normalisation)
    _measure(network.eval(), normalisations, images)


def _measure(network: Detector, normalisations: list[nn.BatchNorm2d], images: Sequence[Tensor]) -> None:
    """Sets each normalisation's mean and variance to what passes, its scale and shift so that nothing changes."""
    sums = {one: (torch.zeros_like(one.weight), torch.zeros_like(one.weight)) for one in normalisations}

    def add(module: Any, inputs: tuple[Tensor, ...]) -> None:
        total, squares = sums[module]
        total += inputs[0].mean(dim=(0, 2, 3)) / len(images)
        squares += inputs[0].square().mean(dim=(0, 2, 3)) / len(images)

    hooks = [one.register_forward_pre_hook(add) for one in normalisations]
    for batch in images:
        network(batch)
    for hook in hooks:
        hook.remove()
    for one in normalisations:
        mean, squares = sums[one]
        variance = (squares - mean.square()).clamp(min=1e-6)
        one.bias += one.weight * mean
        one.weight *= (variance + one.eps).sqrt()
        one.running_mean.copy_(mean)  # type: ignore[union-attr]
        one.running_var.copy_(variance)  # type: ignore[union-attr]


def _places(network: Detector) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The network's convolutions in the order in which they run, each with its normalisation."""
    order: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: order.append(module))
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    network.eval()(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    places: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []
    for module, after in zip(order, [*order[1:], None], strict=True):
        if isinstance(module, nn.Conv2d):
            places.append((module, after if isinstance(after, nn.BatchNorm2d) else None))
    return places


def _convolutions(document: Any) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Kernels `[outputs, rows, columns, inputs]` and biases of a file, in the order in which they run."""
    graph = document.subgraphs[0]
    halves = {}  # of a float32 kernel, where it is stored as float16
    found = []
    for operator in graph.operators:
        code = document.operatorCodes[operator.opcodeIndex].builtinCode
        if code == schema.BuiltinOperator.DEQUANTIZE:
            halves[operator.outputs[0]] = operator.inputs[0]
        elif code == schema.BuiltinOperator.CONV_2D:
            _, kernel, bias = operator.inputs
            tensors = graph.tensors[halves.get(kernel, kernel)], graph.tensors[bias]
            found.append((content(document, tensors[0]), content(document, tensors[1])))
    return found
