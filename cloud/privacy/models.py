"""Receipts of what was erased."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("privacy")


class Erasure(Base):
    """A donor whose data were erased. ``receipt`` is the signed paper, as it was handed out."""

    __tablename__ = "erasures"

    donor_id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    receipt: Mapped[str] = mapped_column(Text)
