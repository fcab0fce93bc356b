"""Videos and their copies."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database
from shared.domain.sacrifice import VIDEO

VARIANTS = ("original", "compressed", "messenger", "poster", "still", "preview")


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("uploads")


class Blob(Base):
    """A sealed file, from the moment that anybody has heard of it. Who brought it is known when it has arrived."""

    __tablename__ = "blobs"
    __table_args__ = (CheckConstraint("hot OR cold IS NOT NULL", name="somewhere"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    arrived: Mapped[datetime | None]
    """When its bytes were in the store, whole."""
    site_id: Mapped[UUID | None] = mapped_column(index=True)
    size: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    hot: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether it is read from the hot store."""
    cold: Mapped[datetime | None]
    """When its copy in the cold store had been proved."""


class Video(Base):
    """What a box says of a video that it recorded, and how far the hub is with it."""

    __tablename__ = "videos"
    __table_args__ = (CheckConstraint(f"state IN {VIDEO.states}", name="state"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sacrifice_id: Mapped[UUID] = mapped_column(index=True)
    site_id: Mapped[UUID]
    node: Mapped[UUID]
    sha256: Mapped[str] = mapped_column(Text, index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    blob_id: Mapped[str] = mapped_column(ForeignKey(Blob.id), index=True)
    media_type: Mapped[str] = mapped_column(Text)
    captured: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(Text, default=VIDEO.first)
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it failed: the code of an error."""
    outcome: Mapped[str | None] = mapped_column(Text)
    """What its check ended with; only ``authentic`` is shown to donors."""
    said: Mapped[str | None] = mapped_column(Text)
    """What the box's own check ended with. As long as there is no ``outcome``, it decides who sees what went ahead."""
    remedy: Mapped[str | None] = mapped_column(Text)
    """What a person here asks the site to do again."""
    feedback: Mapped[str | None] = mapped_column(Text)
    """What a person here says of it to whoever recorded it."""
    held: Mapped[str | None] = mapped_column(Text)
    """Why it must not go to the archive."""
    hot_until: Mapped[datetime | None]
    """Somebody asked for it back: until then it does not go again."""
    created: Mapped[datetime]
    changed: Mapped[datetime]


class Copy(Base):
    """One file of a video. ``blob_id`` is its address in the store; ``sha256`` and ``size`` are of the plaintext.

    ``still`` and ``preview`` were made by the box and go ahead of the original: their bytes may not be here yet.
    """

    __tablename__ = "copies"
    __table_args__ = (CheckConstraint(f"variant IN {VARIANTS}", name="variant"),)

    video_id: Mapped[UUID] = mapped_column(ForeignKey(Video.id), primary_key=True)
    variant: Mapped[str] = mapped_column(Text, primary_key=True)
    blob_id: Mapped[str] = mapped_column(Text, index=True)
    sha256: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(Text)
    width: Mapped[int | None]
    height: Mapped[int | None]
    created: Mapped[datetime]


class OwnCopy(Base):
    """The copy of a video that one donor has asked for, in which no names are heard but theirs.

    The fields are those of :class:`Copy`; they are empty until it is made.
    """

    __tablename__ = "own_copies"

    variant = "own"
    media_type = "video/mp4"

    video_id: Mapped[UUID] = mapped_column(ForeignKey(Video.id), primary_key=True)
    donor_id: Mapped[UUID] = mapped_column(primary_key=True)
    blob_id: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger)
    width: Mapped[int | None]
    height: Mapped[int | None]
    created: Mapped[datetime]


class Photo(Base):
    """A picture of an animal or a hide, taken at a site. Its bytes may not be here yet."""

    __tablename__ = "photos"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    of: Mapped[UUID] = mapped_column(index=True)
    site_id: Mapped[UUID]
    blob_id: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime]


class View(Base):
    """When a donor first opened a video that a share of theirs is in."""

    __tablename__ = "views"

    video_id: Mapped[UUID] = mapped_column(ForeignKey(Video.id), primary_key=True)
    donor_id: Mapped[UUID] = mapped_column(primary_key=True)
    first: Mapped[datetime]


class Restore(Base):
    """Somebody wants a video back from the archive."""

    __tablename__ = "restores"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    video_id: Mapped[UUID] = mapped_column(ForeignKey(Video.id), index=True)
    asked_by: Mapped[UUID]
    asked: Mapped[datetime]
    done: Mapped[datetime | None]
