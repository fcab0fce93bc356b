"""What boxes tell of their checks, and what other services are told."""

from __future__ import annotations

from uuid import UUID

import msgspec

from shared.domain.verdict import Outcome, Verdict


class Told(msgspec.Struct, frozen=True):
    """The merged fields of a verdict; see :data:`shared.domain.fields.FIELDS`."""

    video_id: UUID
    outcome: Outcome
    body: Verdict


class HeardName(msgspec.Struct, frozen=True):
    """A name that was heard in a video, ``seconds`` from its start."""

    name: str
    seconds: float
