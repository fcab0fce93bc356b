"""What goes in and out of the privacy routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from cloud.platform.fields import MAX_PASSWORD

Reason = Literal["asked", "unlawful", "expired"]


class Erase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why: the donor ``asked``, the data were ``unlawful`` to hold, or their time has ``expired``."""

    reason: Reason


class EraseMe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One's password, as nothing brings back what is erased."""

    password: Annotated[str, msgspec.Meta(max_length=MAX_PASSWORD)]


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was erased. ``keys`` says how many data keys were destroyed: the donor's, and those of verdicts that named
    somebody of theirs; ``sites``, whose boxes are told to forget the names. ``kept`` is what stays, by pseudonym."""

    donor: UUID
    erased: datetime
    reason: Reason
    keys: int
    shares: int
    sites: list[UUID]
    kept: list[str]


class Export(msgspec.Struct, frozen=True):
    """All that the hub holds of a donor."""

    donor: dict[str, Any]
    account: dict[str, Any]
    consents: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    notifications: list[dict[str, Any]]
    deeds: list[dict[str, Any]]
