"""Donors, orders, shares, payments, and the steps that an order has taken."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloud.platform import database
from cloud.platform.personal import Personal
from shared.domain.order import CAPACITY


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


class Named(msgspec.Struct, frozen=True):
    """On whose behalf a share is, and other ways to write that name."""

    name: str = ""
    spellings: list[str] = []


class Share(Personal, Base):
    """One share of an animal, on behalf of somebody. It is sealed with the key of its donor."""

    kind = Named

    __tablename__ = "shares"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("donors.orders.id"), index=True)
    language: Mapped[str] = mapped_column(Text)


class Step(Base):
    """When an order came to a state, and why."""

    __tablename__ = "steps"

    order_id: Mapped[UUID] = mapped_column(ForeignKey("donors.orders.id"), primary_key=True)
    state: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime]


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
    booked: Mapped[datetime]


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

    shares: Mapped[list[Share]] = relationship(order_by=Share.id)
    steps: Mapped[list[Step]] = relationship(order_by=Step.at)
