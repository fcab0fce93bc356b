"""Frames as they are meant to be seen: upright, with square pixels, and no larger than wanted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.filter import Graph

# Phones store what the sensor saw and note by how many degrees (counter-clockwise) to turn it for the viewer.
_TURNS = {
    90: ("transpose=cclock",),
    180: ("hflip", "vflip"),
    270: ("transpose=clock",),
}


class Upright:
    """Turns and scales the frames of one video to at most ``long_side`` pixels; both sides come out even.

    The ``first`` frame settles the size: a camera that changes its resolution on the way changes nothing for the
    viewer. ``pixel_aspect`` is the width of a pixel over its height.
    """

    def __init__(self, first: Any, long_side: int, pixel_aspect: Fraction | None = None) -> None:
        width, height = first.width * float(pixel_aspect or 1), float(first.height)
        if _quarter(first) in (90, 270):
            width, height = height, width
        factor = min(1.0, long_side / max(width, height))
        self.width, self.height = _even(width * factor), _even(height * factor)
        self._kind: tuple[Any, ...] = ()
        self._graph = Graph()

    def __call__(self, frame: Any) -> Any:
        """The frame, upright, as planar 4:2:0."""
        kind = (frame.width, frame.height, frame.format.name, frame.rotation)
        if kind != self._kind:
            self._graph, self._kind = self._graph_for(frame), kind
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _graph_for(self, frame: Any) -> Graph:
        graph = Graph()
        steps = (*_TURNS.get(_quarter(frame), ()), f"scale={self.width}:{self.height}", "setsar=1", "format=yuv420p")
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        filters = [graph.add(*step.split("=", 1)) for step in steps]
        graph.link_nodes(source, *filters, graph.add("buffersink")).configure()
        return graph


def _quarter(frame: Any) -> int:
    """By how much to turn the frame counter-clockwise: 0, 90, 180 or 270 degrees."""
    return int(round(frame.rotation / 90) * 90 % 360)


def _even(length: float) -> int:
    """The nearest even number of pixels, at least two: 4:2:0 has one sample of colour for each two of them."""
    return max(round(length / 2) * 2, 2)
