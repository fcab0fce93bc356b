"""A mask that holds still: what was blood a moment ago is blood, until it has not been for a while."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.fft import irfft2, rfft2
from numpy.typing import NDArray

from shared.evidence.blood import Map

Mask = NDArray[Any]
"""Of booleans."""

Move = tuple[int, int]
"""Rows down, columns right."""

AHEAD = 2
"""Pictures that are looked at before one is masked, so that the mask is there before the blood is."""

_NEW = 0.25
"""The weight of a picture in the running likeness."""

_ON, _OFF = 0.6, 0.2
"""A place turns to blood above the one, and back below the other."""

_REACH = 6
"""Cells that a doubtful place may lie away from a sure one."""

_CLOSED = 2
"""Gaps of up to twice as many cells are masked, too: highlights, thin places."""

_FURTHEST = 0.06
"""Of a side: a camera that moved more between two pictures was not followed, it is a cut."""

_BETTER = 0.9
"""A move has to lessen the difference between two pictures at least this much to be believed."""


class Steady:
    """Takes the likeness of each picture to blood and gives the mask of the one :data:`AHEAD` pictures before.

    The running likeness follows the camera (one move for the whole picture, by phase correlation), rises above
    ``_ON`` and has to fall below ``_OFF`` to let go; a doubtful place counts where it touches a sure one.
    """

    def __init__(self) -> None:
        self._running: Map | None = None
        self._held: Mask | None = None
        self._before: Map | None = None
        self._at: Move = (0, 0)
        self._waiting: deque[tuple[Mask, Move]] = deque()

    def put(self, likeness: Map, bright: Map) -> Iterator[Mask]:
        """``bright`` is the picture's brightness, of the same shape."""
        if self._running is None or self._held is None or self._before is None:
            self._running, held = likeness, np.zeros(likeness.shape, np.bool_)
        else:
            down, right = shift(self._before, bright)
            self._at = (self._at[0] + down, self._at[1] + right)
            self._running = _NEW * likeness + (1 - _NEW) * moved(self._running, (down, right))
            held = moved(self._held, (down, right))
        self._before = bright
        self._held = _hysteresis(self._running, held)
        mask = ~grown(~grown(self._held, _CLOSED), _CLOSED)
        for earlier, at in self._waiting:
            earlier |= moved(mask, (at[0] - self._at[0], at[1] - self._at[1]))
        self._waiting.append((mask.copy(), self._at))
        if len(self._waiting) > AHEAD:
            yield self._waiting.popleft()[0]

    def end(self) -> Iterator[Mask]:
        """The masks of the last pictures."""
        while self._waiting:
            yield self._waiting.popleft()[0]


def _hysteresis(running: Map, held: Mask) -> Mask:
    possible = running > _OFF
    sure = possible & (held | (running > _ON))
    for _ in range(_REACH):
        sure = grown(sure, 1) & possible
    return sure


def grown(mask: Mask, cells: int) -> Mask:
    """The mask and what lies within ``cells`` of it, in all eight directions."""
    for axis in (0, 1):
        wide = mask.copy()
        for by in range(1, cells + 1):
            wide |= moved(mask, (by, 0) if axis == 0 else (0, by))
            wide |= moved(mask, (-by, 0) if axis == 0 else (0, -by))
        mask = wide
    return mask


def moved(plane: NDArray[Any], move: Move) -> NDArray[Any]:
    """The plane with its contents moved; nothing comes in from outside."""
    out = np.zeros_like(plane)
    height, width = plane.shape
    down, right = move
    if abs(down) < height and abs(right) < width:
        out[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = (
            plane[max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)]
        )  # fmt: skip
    return out


def shift(before: Map, now: Map) -> Move:
    """How far the picture moved, by phase correlation (Kuglin and Hines, 1975); (0, 0) where that explains little."""
    window = np.outer(np.hanning(now.shape[0]), np.hanning(now.shape[1])).astype(np.float32)
    cross = rfft2(now * window) * np.conj(rfft2(before * window))
    peaks = irfft2(cross / (np.abs(cross) + 1e-9), now.shape)
    down, right = (int(at) for at in np.unravel_index(int(np.argmax(peaks)), peaks.shape))
    height, width = now.shape
    move = (down - height if down > height // 2 else down, right - width if right > width // 2 else right)
    if abs(move[0]) > _FURTHEST * height or abs(move[1]) > _FURTHEST * width:
        return 0, 0
    return move if _unlike(before, now, move) < _BETTER * _unlike(before, now, (0, 0)) else (0, 0)


def _unlike(before: Map, now: Map, move: Move) -> float:
    """The mean difference, leaving out the border that no move can explain."""
    height, width = now.shape
    inner = (slice(int(_FURTHEST * height) + 1, -int(_FURTHEST * height) - 1),
             slice(int(_FURTHEST * width) + 1, -int(_FURTHEST * width) - 1))  # fmt: skip
    return float(np.abs(now - moved(before, move))[inner].mean())
