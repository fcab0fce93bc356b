"""Hides: how good each is, and until when it must be salted.

A hide begins to rot when it is off. The FAO teaches to cure it without delay (A. Aten, R. Faraday Innes and E. Knew,
*Flaying and curing of hides and skins as a rural industry*, FAO Animal Production and Health Series 7); guides of the
trade say within a few hours, and within two in warm weather. As a clock that takes the heat into account: four hours at
20 °C and half as long for each 10 °C more, as bacteria then grow about twice as fast (Q10 = 2): two hours at 30 °C, one
at 40 °C. It is a rule of thumb, to say which hide is next; it proves nothing about one that was late.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

import msgspec

Grade = Literal["A", "B", "C", "reject"]
GRADES: tuple[Grade, ...] = ("A", "B", "C", "reject")
"""As buyers sort: A without a fault in the middle, B with few, C with many, and what nobody can use."""
Fault = Literal["hole", "cut", "scar", "dirt", "slip"]
FAULTS: tuple[Fault, ...] = ("hole", "cut", "scar", "dirt", "slip")
"""A hole, a cut from flaying, a scar or brand from life, dung or blood dried in, hair that comes off: it has rotted."""

Celsius = Annotated[int, msgspec.Meta(ge=-20, le=60)]
HOT_C = 35
"""Taken where nobody has said how hot it is."""

_BASE_C, _BASE = 20, timedelta(hours=4)
_LEAST, _MOST = timedelta(hours=1), timedelta(hours=8)


def salt_within(heat_c: int | None) -> timedelta:
    """How long after flaying a hide should be in salt, where it is so hot."""
    warmer = (HOT_C if heat_c is None else heat_c) - _BASE_C
    return min(_MOST, max(_LEAST, _BASE * 2 ** (-warmer / 10)))
