"""Takes the noise out of a picture, over time and in space, and makes it larger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import msgspec
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

_LEAST_NOISE = 1.0
"""Standard deviation, of 255: below it there is nothing to take out but detail."""

_MOST_NOISE = 16.0

_STRENGTH = 2.4
"""Of the filter to the noise, which compression hides a part of; chosen on films other than the judged."""


class Enhancement(msgspec.Struct, frozen=True, tag="enhancement"):
    """``scale`` times as large, but no more than ``longest`` pixels along the longer side, never smaller."""

    scale: float = 2.0
    longest: int = 1920

    def stage(self, width: int, height: int) -> Enhancer:
        factor = max(min(self.scale, self.longest / max(width, height)), 1.0)
        return Enhancer((round(width * factor / 2) * 2, round(height * factor / 2) * 2))

    @property
    def settings(self) -> str:
        return f"denoised, up to {self.scale:g} times as large, at most {self.longest} pixels"


class Enhancer:
    """Frames in (upright, planar 4:2:0), frames of ``size`` out.

    ``fftdnoiz`` is a Wiener filter over blocks of three neighbouring pictures at once, so what stands still is
    averaged and what moves is not smeared; its strength follows the noise of the first picture.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._graph: Graph | None = None

    def put(self, frame: Any) -> Iterator[Any]:
        if self._graph is None:
            self._graph = self._graph_for(frame)
        self._graph.vpush(frame)
        yield from self._ready()

    def end(self) -> Iterator[Any]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()

    def _ready(self) -> Iterator[Any]:
        assert self._graph is not None
        while True:
            try:
                yield self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return

    def _graph_for(self, frame: Any) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        filters = [graph.add(*step.split("=", 1)) for step in _steps(noise(_brightness(frame)), self.size)]
        graph.link_nodes(source, *filters, graph.add("buffersink")).configure()
        return graph


def _steps(level: float, size: tuple[int, int]) -> Iterator[str]:
    if level >= _LEAST_NOISE:
        yield f"fftdnoiz=sigma={min(level, _MOST_NOISE) * _STRENGTH:.2f}:block=32:overlap=0.5:prev=1:next=1"
    yield f"scale={size[0]}:{size[1]}:flags=lanczos+accurate_rnd"
    yield "format=yuv420p"


def noise(picture: NDArray[np.uint8]) -> float:
    """The standard deviation of the noise in ``[height, width]`` (Immerkaer, 1996): what a mask blind to edges sees.

    The mean over the calmer half of blocks of 16 x 16, so that texture counts little; 0 for a picture too small.
    """
    light = picture.astype(np.float32)
    inner = slice(1, -1)
    second = light[:, :-2] - 2 * light[:, inner] + light[:, 2:]
    laplace = np.abs(second[:-2] - 2 * second[inner] + second[2:])
    height, width = (side // 16 * 16 for side in laplace.shape)
    blocks = laplace[:height, :width].reshape(height // 16, 16, width // 16, 16).mean(axis=(1, 3))
    calm = np.sort(blocks, axis=None)[: blocks.size // 2]
    return float(calm.mean() * np.sqrt(np.pi / 2) / 6) if calm.size else 0.0


def _brightness(frame: Any) -> NDArray[np.uint8]:
    plane: NDArray[np.uint8] = frame.to_ndarray()[: frame.height]
    return plane
