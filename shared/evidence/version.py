"""A name for settings that changes whenever they do."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec


def version_of(*settings: Any, letters: int = 8) -> str:
    """The start of the SHA-256 of the settings as JSON, in hex."""
    return hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()[:letters]
