"""A sacrifice and its videos, as a site records them."""

from __future__ import annotations

from shared.domain.machine import Machine

SACRIFICE = Machine("sacrifice", {
    "opened": ("recorded",),
    "recorded": ("judged",),
    "judged": ("recorded",),  # a retake: a further video while the animal is still there
})  # fmt: skip

VIDEO = Machine("video", {
    "expected": ("arrived",),  # its record is here, its bytes are not
    "arrived": ("preprocessed", "failed"),
    "preprocessed": ("processed", "failed"),
    "processed": (),
    "failed": ("arrived",),  # a person sent it round again
})  # fmt: skip
