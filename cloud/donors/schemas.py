"""What goes in and out of the donors' routes, and what other services are told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from cloud.platform.fields import Email, Language, Name, Password, Phone


class NewDonor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    email: Email
    password: Password
    language: Language
    phone: Phone = ""


class Donor(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    email: str
    phone: str
    language: str


class NewShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    language: Language
    spellings: Annotated[list[Name], msgspec.Meta(max_length=10)] = []


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    species: Literal["sheep", "goat", "cow", "buffalo", "camel"]
    shares: Annotated[list[NewShare], msgspec.Meta(min_length=1, max_length=70)]


class NewPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``key`` names the payment, so that sending it again books it once."""

    key: Annotated[str, msgspec.Meta(min_length=8, max_length=100)]
    minor: Annotated[int, msgspec.Meta(gt=0, le=10**12)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    method: Literal["cash", "transfer"]


class Share(msgspec.Struct, frozen=True):
    id: UUID
    order_id: UUID
    donor_id: UUID
    reference: str
    """The order's short number."""
    name: str
    language: str
    spellings: list[str]


class Step(msgspec.Struct, frozen=True):
    state: str
    at: datetime


class Order(msgspec.Struct, frozen=True):
    id: UUID
    reference: str
    donor_id: UUID
    species: str
    state: str
    created: datetime
    shares: list[Share]
    timeline: list[Step]
