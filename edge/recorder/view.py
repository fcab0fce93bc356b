"""How a camera is, as told to whoever asks."""

from __future__ import annotations

from typing import Literal

import msgspec

Phase = Literal["opening", "ready", "lost"]


class CameraView(msgspec.Struct, frozen=True):
    """``opening`` (for the first time), ``ready``, or ``lost``, and why.

    ``for_s`` is how long it has been so, ``ring_s`` how far back a recording could begin, both in seconds.
    ``recording`` names the sacrifices that it records.
    """

    name: str
    phase: Phase
    for_s: float
    ring_s: float = 0.0
    picture: str = ""
    has_sound: bool = False
    trouble: str = ""
    recording: list[str] = []
