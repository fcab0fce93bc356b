"""What goes in and out of the donors' routes, and what other services are told."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from cloud.donors.consents import Purpose
from cloud.platform.fields import Currency, Email, Language, Minor, Name, Password, Phone
from shared.domain.animal import Species


class NewDonor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    email: Email
    password: Password
    language: Language
    phone: Phone = ""
    consents: list[Purpose] = []


class Donor(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    email: str
    phone: str
    language: str


class Find(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to look for; the first that is given counts."""

    phone: Phone = ""
    email: str = ""


class LookUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name in any script or spelling, a phone number, an address, or the number of an order."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """On whose behalf: see :class:`Share`."""

    name: Name
    language: Language
    spellings: Annotated[list[Name], msgspec.Meta(max_length=10)] = []
    deceased: bool = False
    anonymous: bool = False
    phone: Phone = ""


class NewPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a share costs: the animal, what brings it there, and the charity's fee, in minor units."""

    species: Species
    currency: Currency
    animal: Annotated[int, msgspec.Meta(gt=0, le=10**12)]
    transport: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0
    fee: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0


class Price(msgspec.Struct, frozen=True):
    """A share of this species at this site (null: wherever no other price is put up) costs ``minor``."""

    site_id: UUID | None
    species: str
    currency: str
    animal: int
    transport: int
    fee: int
    minor: int = 0


class NewInstalment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``minor`` is to be there by the end of the day ``due`` (UTC), or the order ends."""

    due: date
    minor: Minor


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With a ``currency`` it costs what the price list says, at ``site_id`` or (null) wherever there is room; without,
    what an admin books first. ``instalments`` sum up to that; without any it is paid at once."""

    species: Species
    shares: Annotated[list[NewShare], msgspec.Meta(min_length=1, max_length=70)]
    currency: Currency | None = None
    site_id: UUID | None = None
    instalments: Annotated[list[NewInstalment], msgspec.Meta(max_length=24)] = []


class NewPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``key`` names the payment, so that sending it again books it once."""

    key: Annotated[str, msgspec.Meta(min_length=8, max_length=100)]
    minor: Minor
    currency: Currency
    method: Literal["cash", "transfer"]


class Paid(msgspec.Struct, frozen=True):
    """What came in through the gateway, under the ``reference`` by which it can be given back."""

    key: str
    minor: int
    currency: str
    reference: str


class Refund(msgspec.Struct, frozen=True):
    """A payment that is to go back: ``approved_by`` is never ``wanted_by``, who called the order off."""

    key: str
    order_id: UUID
    minor: int
    currency: str
    method: str
    wanted: datetime
    wanted_by: UUID | None
    approved_by: UUID | None
    done: datetime | None


class ApproveRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str


class Posting(msgspec.Struct, frozen=True):
    account: str
    minor: int
    currency: str


class Entry(msgspec.Struct, frozen=True):
    kind: str
    at: datetime
    postings: list[Posting]


class Ledger(msgspec.Struct, frozen=True):
    """What was charged and paid: each entry sums to zero, and so does the whole (``balance``).

    ``accounts`` says what each comes to; ``donor`` is what the donor owes.
    """

    entries: list[Entry]
    accounts: dict[str, int]
    balance: int


class Share(msgspec.Struct, frozen=True):
    """On whose behalf a share is given.

    The name of one that is ``anonymous`` is said at the sacrifice, as it must be, and else told to its donor and the
    staff alone: it stands on no paper and no page that others may see. Who is ``deceased`` is called so at the site.
    ``phone`` is whose, besides the donor, is to hear of it.
    """

    id: UUID
    order_id: UUID
    donor_id: UUID
    reference: str
    """The order's short number."""
    name: str
    language: str
    spellings: list[str]
    deceased: bool = False
    anonymous: bool = False
    phone: str = ""


class Instalment(msgspec.Struct, frozen=True):
    due: datetime
    minor: int


What = Literal["again", "refund"]
"""What is due for a sacrifice that was not proved: another one, or the money."""


class NewRemedy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    what: What


class Due(msgspec.Struct, frozen=True):
    """What is to be paid next of an order; ``by`` is the end of the last day for it, null where it is due at once."""

    minor: int
    currency: str
    by: datetime | None


class Step(msgspec.Struct, frozen=True):
    """``why`` is empty where it went as it should: ``donor``, ``admin``, ``overdue`` or ``reversed``."""

    state: str
    at: datetime
    why: str = ""


class Order(msgspec.Struct, frozen=True):
    id: UUID
    reference: str
    donor_id: UUID
    species: str
    state: str
    created: datetime
    shares: list[Share]
    timeline: list[Step]
    site_id: UUID | None = None
    currency: str | None = None
    minor: int | None = None
    """What it costs; null as long as nothing was agreed."""
    instalments: list[Instalment] = []

    def times(self, state: str) -> int:
        """How often it has come to a state."""
        return sum(step.state == state for step in self.timeline)


class Found(msgspec.Struct, frozen=True):
    """A donor who was looked up, and their newest orders."""

    donor: Donor
    orders: list[Order]


class Remedied(msgspec.Struct, frozen=True):
    """An order that has ended, and the one ``instead`` of it; null where the money goes back."""

    order: Order
    instead: Order | None
