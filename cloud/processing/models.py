"""Verdicts of the boxes, and the check of each video."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("processing")


class Verdict(Base):
    """What a box found. ``body`` is a :class:`shared.domain.verdict.Verdict` as plain data."""

    __tablename__ = "verdicts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    video_id: Mapped[UUID] = mapped_column(index=True)
    node: Mapped[UUID]
    outcome: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]]
    told: Mapped[datetime]


class Check(Base):
    """Where the two things meet that end the check of a video: its verdict, and its copies."""

    __tablename__ = "checks"
    __table_args__ = (CheckConstraint("outcome IN ('authentic', 'review', 'rejected')", name="outcome"),)

    video_id: Mapped[UUID] = mapped_column(primary_key=True)
    verdict_id: Mapped[UUID | None] = mapped_column(ForeignKey(Verdict.id))
    copied: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    reasons: Mapped[list[str] | None]
    ended: Mapped[datetime | None]


class Manifest(Base):
    """What a box signed of a capture: the file, byte for byte, and its place in the chain of the box that it names."""

    __tablename__ = "manifests"

    video_id: Mapped[UUID] = mapped_column(primary_key=True)
    node: Mapped[UUID] = mapped_column(index=True)
    number: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str] = mapped_column(Text)
    told: Mapped[datetime]
