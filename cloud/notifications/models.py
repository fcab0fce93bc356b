"""Notifications and the attempts to send them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database
from shared.domain.notification import NOTIFICATION


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("notifications")


class Notification(Base):
    """Something that somebody is to be told; of an order once for each template and occasion."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("order_id", "template", "occasion"),
        CheckConstraint(f"state IN {NOTIFICATION.states}", name="state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    donor_id: Mapped[UUID] = mapped_column(index=True)
    order_id: Mapped[UUID | None]
    template: Mapped[str] = mapped_column(Text)
    occasion: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Which time it is, of what may happen several times."""
    facts: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(Text, default=NOTIFICATION.first)
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it failed or was skipped."""
    created: Mapped[datetime]
    ended: Mapped[datetime | None]


class Attempt(Base):
    """One try to hand a notification to the mail server, and what the server said."""

    __tablename__ = "attempts"

    notification_id: Mapped[UUID] = mapped_column(ForeignKey(Notification.id), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    answer: Mapped[str] = mapped_column(Text)
