"""Links to an order, and certificates."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("guests")


class Link(Base):
    """Who has it sees how far an order is, until it expires or is revoked. What it says stands nowhere."""

    __tablename__ = "links"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(index=True)
    donor_id: Mapped[UUID] = mapped_column(index=True)
    created: Mapped[datetime]
    expires: Mapped[datetime]
    revoked: Mapped[datetime | None]


class Certificate(Base):
    """That an order was carried out. One that was withdrawn stays so; an order has one that stands."""

    __tablename__ = "certificates"
    __table_args__ = (Index("uq_certificates_standing", "order_id", unique=True, postgresql_where="withdrawn IS NULL"),)

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    order_id: Mapped[UUID] = mapped_column(index=True)
    issued: Mapped[datetime]
    withdrawn: Mapped[datetime | None]
    shown: Mapped[dict[str, Any]]
    """What anybody may see: :class:`cloud.guests.schemas.Shown`."""
