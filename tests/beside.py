"""Clips and models that may lie beside the checkout; tests that need them skip where they do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[2] / "shared"

MEDIA = Path(os.environ.get("QURBANI_MEDIA") or _BESIDE / "media")
MODELS = Path(os.environ.get("QURBANI_MODELS") or _BESIDE / "models")

needs_media = pytest.mark.skipif(
    not (MEDIA / "expected.json").is_file(), reason="there are no clips with an expected.json (QURBANI_MEDIA)"
)
needs_models = pytest.mark.skipif(
    not (MODELS / "yolox_nano_416_float16.tflite").is_file(), reason="there is no YOLOX-Nano (QURBANI_MODELS)"
)
