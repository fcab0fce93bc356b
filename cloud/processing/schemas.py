"""What boxes tell of their checks, and what other services are told."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from shared.domain.verdict import Outcome, Verdict


class Told(msgspec.Struct, frozen=True):
    """The merged fields of a verdict; see :data:`shared.domain.fields.FIELDS`."""

    video_id: UUID
    outcome: Outcome
    body: Verdict


class Repeat(msgspec.Struct, frozen=True):
    """The earlier video ``video_id`` shows the same act: of its ``picture`` and ``sound`` the share of bits that differ
    (unrelated: about 0.5), None where they cannot be compared."""

    video_id: UUID
    picture: float | None
    sound: float | None
    mirrored: bool
    speed: float


class Check(msgspec.Struct, frozen=True):
    """How the check of a video stands: ``outcome`` and ``ended`` are None until it has ended."""

    video_id: UUID
    outcome: str | None
    reasons: tuple[str, ...]
    ended: datetime | None
    earlier: tuple[Repeat, ...]


class HeardName(msgspec.Struct, frozen=True):
    """A name that was heard in a video, ``seconds`` from its start."""

    name: str
    seconds: float
