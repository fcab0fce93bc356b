"""A network as a list of plain operators, channels last, batch normalisation folded: what a file is written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["convolution", "sum", "concatenation", "pool", "upsample", "flatten", "sigmoid", "quantise", "restore"]


@dataclass(frozen=True)
class Operator:
    """One step. `kernel` is `[outputs, rows, columns, inputs]` and `bias` `[outputs]`, for convolutions only."""

    kind: Kind
    inputs: tuple[str, ...]
    output: str
    kernel: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    stride: int = 1
    relu: bool = False


@dataclass(frozen=True)
class Graph:
    """Operators in the order in which they run.

    shapes: of every value, `[1, rows, columns, channels]` or, once flattened, `[1, cells, channels]`.
    """

    operators: tuple[Operator, ...]
    shapes: dict[str, tuple[int, ...]]
    input: str
    outputs: tuple[str, ...]

    @property
    def multiplications(self) -> int:
        """Multiply-accumulate operations of one run."""
        return sum(
            int(np.prod(self.shapes[step.output][1:3])) * step.kernel.size
            for step in self.operators
            if step.kernel is not None
        )
