"""What the boxes sent, op by op, and the records that came of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("sync")


class Chain(Base):
    """How far the hub holds a box's ops. Its row is locked while a batch is taken in."""

    __tablename__ = "chains"

    node: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    acked: Mapped[int] = mapped_column(BigInteger)
    """The highest contiguous ``seq``."""
    hash: Mapped[bytes]
    """Of the op at ``acked``."""
    stamp: Mapped[int] = mapped_column(BigInteger)
    """By which that op was merged."""


class HeldOp(Base):
    """An op as it came; never changed, never dropped."""

    __tablename__ = "ops"
    __table_args__ = (Index("ix_ops_parked", "node", "seq", postgresql_where="parked_code IS NOT NULL"),)

    node: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    hlc: Mapped[int] = mapped_column(BigInteger)
    stamp: Mapped[int] = mapped_column(BigInteger)
    entity: Mapped[str] = mapped_column(Text)
    key: Mapped[UUID]
    patch: Mapped[bytes]
    """Canonical MessagePack, as the hash covers it."""
    actor: Mapped[str] = mapped_column(Text)
    prev: Mapped[bytes]
    hash: Mapped[bytes]
    sig: Mapped[bytes | None]
    """On the last op of each batch; it covers those before."""
    received: Mapped[datetime]
    parked_code: Mapped[str | None] = mapped_column(Text)
    parked_detail: Mapped[str | None] = mapped_column(Text)
    """Why it could not be applied."""


class Record(Base):
    """What all ops about one thing come to: the cells of :mod:`sync.merge`, as canonical bytes."""

    __tablename__ = "records"

    entity: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    cells: Mapped[bytes]


class Conflict(Base):
    """A field with two writes that a person should look at. Both are in the record."""

    __tablename__ = "conflicts"

    entity: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(Text, primary_key=True)
    noticed: Mapped[datetime]
    settled: Mapped[datetime | None]
    """When a person had looked at it. A further version opens it again."""
    settled_by: Mapped[UUID | None]
    decision: Mapped[str | None] = mapped_column(Text)


class Divergence(Base):
    """Something that a box had been told and did not hold as the hub does; it was given the hub's. None is normal."""

    __tablename__ = "divergences"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    node: Mapped[UUID]
    prefix: Mapped[str] = mapped_column(Text)
    """Where in the digest's tree."""
    noticed: Mapped[datetime]


class Proof(Base):
    """A client assertion that was used; it is refused until it would be too old anyway."""

    __tablename__ = "proofs"

    jti: Mapped[UUID] = mapped_column(primary_key=True)
    until: Mapped[datetime] = mapped_column(index=True)
