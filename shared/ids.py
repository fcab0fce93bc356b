"""Identifiers: UUIDv7 (RFC 9562), so that ids sort by the time they were made."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import uuid_utils

NewId = Callable[[], UUID]
"""Ids come in as arguments; this is the shape of what hands them out."""


def new_id() -> UUID:
    """A fresh UUIDv7, monotonic within this process."""
    return UUID(int=uuid_utils.uuid7().int)
