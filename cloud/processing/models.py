"""Verdicts of the boxes, and the check of each video."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("processing")


class Verdict(Base):
    """What a box found: a :class:`shared.domain.verdict.Verdict`, which has names; its key is that of ``id``."""

    __tablename__ = "verdicts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    video_id: Mapped[UUID] = mapped_column(index=True)
    node: Mapped[UUID]
    outcome: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes]
    told: Mapped[datetime]


class Check(Base):
    """Where the things meet that end the check of a video: its verdict, and the search for its act in earlier ones,
    which begins once its copies are made."""

    __tablename__ = "checks"
    __table_args__ = (CheckConstraint("outcome IN ('authentic', 'review', 'rejected')", name="outcome"),)

    video_id: Mapped[UUID] = mapped_column(primary_key=True)
    verdict_id: Mapped[UUID | None] = mapped_column(ForeignKey(Verdict.id))
    compared: Mapped[datetime | None]
    comparable: Mapped[bool] = mapped_column(default=True, server_default="true")
    outcome: Mapped[str | None] = mapped_column(Text)
    reasons: Mapped[list[str] | None]
    ended: Mapped[datetime | None]


class Print(Base):
    """What a video is known by when another shows the same act (:func:`shared.evidence.act_store.packed`).

    The higher ``number`` arrived later: numbers become visible in their order.
    """

    __tablename__ = "prints"

    video_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, Identity(), unique=True)
    marks: Mapped[bytes]


class Mark(Base):
    """Where a key occurs: in the video of which number, at which tick. The index of all acts."""

    __tablename__ = "marks"

    key: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    tick: Mapped[int] = mapped_column(Integer, primary_key=True)


class Repeat(Base):
    """A video that shows the same act as an earlier one of another sacrifice. ``picture`` and ``sound`` are the shares
    of their bits that differ (unrelated: about 0.5), None where they cannot be compared."""

    __tablename__ = "repeats"

    video_id: Mapped[UUID] = mapped_column(primary_key=True)
    earlier_id: Mapped[UUID] = mapped_column(primary_key=True)
    picture: Mapped[float | None]
    sound: Mapped[float | None]
    mirrored: Mapped[bool]
    speed: Mapped[float]
    wanting: Mapped[bool] = mapped_column(server_default="false")
    """The earlier one was not authentic when this one came, and so proved no other sacrifice."""


class Review(Base):
    """A video that people look at: ``flagged`` as its check could not decide, ``blind``, to see how good checks are, or
    ``disputed`` for a ``reason``, as somebody doubts what was found good.

    It is ``taken`` by whoever has it open, until another may have it.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint("kind IN ('flagged', 'blind', 'disputed')", name="kind"),
        CheckConstraint("decision IN ('approved', 'rejected', 'remedy')", name="decision"),
        Index("ix_reviews_open", "deadline", "opened", postgresql_where="decided IS NULL"),
    )

    video_id: Mapped[UUID] = mapped_column(primary_key=True)
    sacrifice_id: Mapped[UUID]
    site_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    automatic: Mapped[str] = mapped_column(Text)
    """What the check ended with."""
    opened: Mapped[datetime]
    deadline: Mapped[datetime | None]
    """When Eid ends at the site: until then another animal can be sacrificed."""
    taken_by: Mapped[UUID | None]
    taken_until: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    decided: Mapped[datetime | None]
    decision: Mapped[str | None] = mapped_column(Text)


class Vote(Base):
    """What one person says of a video under review."""

    __tablename__ = "votes"
    __table_args__ = (CheckConstraint("vote IN ('approve', 'reject', 'remedy')", name="vote"),)

    video_id: Mapped[UUID] = mapped_column(ForeignKey(Review.video_id), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    vote: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class Override(Base):
    """That a sacrifice counts though it was outside the days and hours of Eid, or nobody can tell, and why."""

    __tablename__ = "overrides"

    sacrifice_id: Mapped[UUID] = mapped_column(primary_key=True)
    by: Mapped[UUID]
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)


class Manifest(Base):
    """What a box signed of a capture: the file, byte for byte, and its place in the chain of the box that it names."""

    __tablename__ = "manifests"

    video_id: Mapped[UUID] = mapped_column(primary_key=True)
    node: Mapped[UUID] = mapped_column(index=True)
    number: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str] = mapped_column(Text)
    told: Mapped[datetime]
