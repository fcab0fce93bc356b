"""Donors, orders, shares, payments, and the steps that an order has taken."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloud.platform import database
from cloud.platform.personal import Personal
from shared.domain.order import CAPACITY

PRICE_OF = "uq_prices_of"


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("donors")


class Contact(msgspec.Struct, frozen=True):
    """How to reach a donor."""

    name: str = ""
    email: str = ""
    phone: str = ""


class Donor(Personal, Base):
    """Somebody who gives. Every video is tracked by this id."""

    kind = Contact

    __tablename__ = "donors"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    phone_index: Mapped[bytes | None] = mapped_column(index=True)
    """What the number is looked up by; several donors may have one number."""
    language: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime]

    @property
    def donor_id(self) -> UUID:
        return self.id


class Consent(Base):
    """That a donor agreed to a purpose, as the ``version`` of its text had it; it counts until it is ``withdrawn``."""

    __tablename__ = "consents"

    donor_id: Mapped[UUID] = mapped_column(ForeignKey(Donor.id), primary_key=True)
    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    given: Mapped[datetime] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    withdrawn: Mapped[datetime | None]


class Named(msgspec.Struct, frozen=True):
    """On whose behalf a share is, and what else its donor says of it; see :class:`cloud.donors.schemas.Share`."""

    name: str = ""
    spellings: list[str] = []
    deceased: bool = False
    anonymous: bool = False
    phone: str = ""


class Share(Personal, Base):
    """One share of an animal, on behalf of somebody. It is sealed with the key of its donor."""

    kind = Named

    __tablename__ = "shares"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("donors.orders.id"), index=True)
    language: Mapped[str] = mapped_column(Text)


class Sound(Base):
    """What a donor or a share is found by, blind; see :mod:`cloud.donors.search`. Nobody who is erased has any."""

    __tablename__ = "sounds"

    token: Mapped[bytes] = mapped_column(primary_key=True)
    about: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    """The donor or the share."""
    donor_id: Mapped[UUID] = mapped_column(ForeignKey(Donor.id), index=True)


class Step(Base):
    """When an order came to a state, and why; to some more than once, as a proof may turn out not to hold."""

    __tablename__ = "steps"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("donors.orders.id"), index=True)
    state: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    why: Mapped[str] = mapped_column(Text, default="", server_default="")


class Price(Base):
    """What a share costs at a site, or (None) wherever nothing else is said; minor units of ``currency``."""

    __tablename__ = "prices"
    __table_args__ = (
        UniqueConstraint("species", "currency", "site_id", name=PRICE_OF, postgresql_nulls_not_distinct=True),
        CheckConstraint("animal > 0 AND transport >= 0 AND fee >= 0", name="positive"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID | None]
    species: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    animal: Mapped[int] = mapped_column(BigInteger)
    transport: Mapped[int] = mapped_column(BigInteger)
    fee: Mapped[int] = mapped_column(BigInteger)


class Payment(Base):
    """Money that came in for an order. ``key`` is the payer's or the admin's, so that it is booked once."""

    __tablename__ = "payments"
    __table_args__ = (CheckConstraint("minor > 0", name="positive"),)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("donors.orders.id"), index=True)
    minor: Mapped[int] = mapped_column(BigInteger)
    """Minor units (cents) of ``currency``."""
    currency: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text, default="", server_default="")
    """What the gateway calls it."""
    booked: Mapped[datetime]


class Refund(Base):
    """A payment that is to go back. Whoever wants it cannot approve it; the database sees to that, too."""

    __tablename__ = "refunds"
    __table_args__ = (CheckConstraint("approved_by <> wanted_by", name="four_eyes"),)

    payment_key: Mapped[str] = mapped_column(ForeignKey(Payment.key), primary_key=True)
    wanted: Mapped[datetime]
    wanted_by: Mapped[UUID | None]
    """None: the hub itself, of an instalment that did not come."""
    approved: Mapped[datetime | None]
    approved_by: Mapped[UUID | None]
    done: Mapped[datetime | None]


class Callback(Base):
    """A call of the gateway that was heard."""

    __tablename__ = "callbacks"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime]


class Instalment(Base):
    """What is to be paid of an order by when; ``sum`` is that and all before."""

    __tablename__ = "instalments"

    order_id: Mapped[UUID] = mapped_column(ForeignKey("donors.orders.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    due: Mapped[datetime]
    minor: Mapped[int] = mapped_column(BigInteger)
    sum: Mapped[int] = mapped_column(BigInteger)


class Entry(Base):
    """An entry in the ledger of an order. A trigger refuses one whose postings do not sum to zero, and every change."""

    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("donors.orders.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class Posting(Base):
    __tablename__ = "postings"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey(Entry.id), index=True)
    account: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    minor: Mapped[int] = mapped_column(BigInteger)


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (CheckConstraint(f"species IN {tuple(CAPACITY)}", name="species"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(start=1001), unique=True)
    """The short number to speak of it on the phone."""
    donor_id: Mapped[UUID] = mapped_column(ForeignKey(Donor.id), index=True)
    species: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime]
    site_id: Mapped[UUID | None]
    """Where the donor wants it; None: wherever there is room."""
    currency: Mapped[str | None] = mapped_column(Text)
    minor: Mapped[int | None] = mapped_column(BigInteger)
    """What it costs; None as long as nothing was agreed."""
    instead_of: Mapped[UUID | None] = mapped_column(ForeignKey("donors.orders.id"), unique=True)
    """The order in whose place this one stands, as that turned out not to be proved."""

    shares: Mapped[list[Share]] = relationship(order_by=Share.id)
    steps: Mapped[list[Step]] = relationship(order_by=Step.id)
    instalments: Mapped[list[Instalment]] = relationship(order_by=Instalment.number)
