"""What there is at a site, and what happened there."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Text,
    Time,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database
from cloud.platform.personal import DataKey, Personal
from shared.domain.animal import SHEEP_MONTHS
from shared.domain.order import CAPACITY


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("executors")


class Site(Base):
    __tablename__ = "sites"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    """An IANA name, such as ``Africa/Algiers``."""
    languages: Mapped[list[str]]
    """The languages in which names are said there, BCP 47."""
    country: Mapped[str | None] = mapped_column(Text, index=True)
    """ISO 3166-1 alpha-2."""
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    eid_day: Mapped[date | None]
    """10 Dhu al-Hijja by the moon that was sighted for the country. See :class:`shared.domain.eid.Eid`."""
    eid_own: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Whether that day was said for this site, and does not follow its country."""
    eid_begins: Mapped[time | None] = mapped_column(Time)
    eid_days: Mapped[int] = mapped_column(default=4)
    sheep_months: Mapped[int] = mapped_column(default=SHEEP_MONTHS)
    """From which age sheep count here. See :mod:`shared.domain.animal`."""
    per_hour: Mapped[int | None]
    """How many animals the site plans to sacrifice in an hour."""
    created: Mapped[datetime]


class Moon(Base):
    """10 Dhu al-Hijja in a country, by the moon that was sighted or reckoned for it."""

    __tablename__ = "moons"

    country: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[date]


class Animal(Base):
    __tablename__ = "animals"
    __table_args__ = (
        # Boxes that do not hear of each other may give one tag twice; both animals are kept, and it is a case.
        Index(
            "uq_animals_listed_tag",
            "site_id",
            "tag",
            unique=True,
            postgresql_where="node IS NULL",
            sqlite_where=text("node IS NULL"),
        ),
        UniqueConstraint("id", "capacity"),
        CheckConstraint(f"species IN {tuple(CAPACITY)}", name="species"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id))
    tag: Mapped[str] = mapped_column(Text)
    species: Mapped[str] = mapped_column(Text)
    pen: Mapped[str] = mapped_column(Text)
    capacity: Mapped[int]
    """How many shares it has: its seats are numbered from 1 to this."""
    node: Mapped[UUID | None]
    """The box that wrote it down first; None where it was listed here."""
    weight_g: Mapped[int | None]
    age_months: Mapped[int | None]
    sex: Mapped[str | None] = mapped_column(Text)
    defects: Mapped[list[str] | None]
    vet_note: Mapped[str | None] = mapped_column(Text)
    arrived: Mapped[dict[str, Any] | None]
    """The reading of a box's clocks at which it was taken in: ``{wall_ms, mono_ms, boot}``."""
    frozen: Mapped[datetime | None]
    """From when on a trigger lets nobody give or take its seats. See :mod:`cloud.executors.freezing`."""


class Seat(Base):
    """A share of an animal, taken.

    The constraints alone keep an eighth share off a cow and a second off a sheep, whoever writes and however
    many at once: a seat is taken once, and its number is at most the capacity of that very animal.
    """

    __tablename__ = "seats"
    __table_args__ = (
        UniqueConstraint("animal_id", "number"),
        ForeignKeyConstraint(["animal_id", "capacity"], [Animal.id, Animal.capacity]),
        CheckConstraint("number BETWEEN 1 AND capacity", name="within_capacity"),
    )

    share_id: Mapped[UUID] = mapped_column(primary_key=True)
    animal_id: Mapped[UUID]
    number: Mapped[int]
    capacity: Mapped[int]


class Thaw(Base):
    """That the shares of a frozen animal were let go again, as it will not be sacrificed, and why."""

    __tablename__ = "thaws"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    animal_id: Mapped[UUID] = mapped_column(ForeignKey(Animal.id))
    at: Mapped[datetime]
    by: Mapped[UUID]
    reason: Mapped[str] = mapped_column(Text)


class Move(Base):
    """That a share went to another animal; ``why`` is one of :data:`cloud.executors.filling.Why`."""

    __tablename__ = "moves"

    share_id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    from_id: Mapped[UUID] = mapped_column(ForeignKey(Animal.id))
    to_id: Mapped[UUID] = mapped_column(ForeignKey(Animal.id))
    why: Mapped[str] = mapped_column(Text)
    by: Mapped[UUID]


class Named(msgspec.Struct, frozen=True):
    """What somebody is called."""

    name: str = ""


class Team(Base):
    """People of a site who work together."""

    __tablename__ = "teams"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), index=True)
    name: Mapped[str] = mapped_column(Text)


class Executor(Personal, Base):
    """Somebody at a site who carries out sacrifices, known to its box by a PIN."""

    kind = Named

    __tablename__ = "executors"
    __table_args__ = (
        Index("uq_executors_lead", "team_id", unique=True, postgresql_where="leads", sqlite_where=text("leads")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), index=True)
    language: Mapped[str] = mapped_column(Text)
    pin_hash: Mapped[str] = mapped_column(Text)
    team_id: Mapped[UUID | None] = mapped_column(ForeignKey(Team.id))
    leads: Mapped[bool] = mapped_column(default=False, server_default="false")
    left: Mapped[datetime | None]


class Node(Base):
    """A box with a key of its own."""

    __tablename__ = "nodes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), index=True)
    name: Mapped[str] = mapped_column(Text)
    sign_key: Mapped[bytes]
    seal_key: Mapped[bytes]
    enrolled: Mapped[datetime]
    seen: Mapped[datetime | None]
    revoked: Mapped[datetime | None]
    parent: Mapped[UUID | None] = mapped_column(ForeignKey("executors.nodes.id"))
    """The box under whose name it went before: its disk had been cloned or put back."""
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    """How far it had read the feed when it last spoke, and what that place was called."""
    mark: Mapped[bytes] = mapped_column(default=b"")
    fork: Mapped[int | None] = mapped_column(BigInteger)
    """The last op that both have in common."""


class Code(Base):
    """A one-time code with which one box may become a node. Only its hash is kept."""

    __tablename__ = "enrolment_codes"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id))
    created: Mapped[datetime]
    expires: Mapped[datetime]
    node_id: Mapped[UUID | None] = mapped_column(ForeignKey(Node.id))
    """The box that used it."""


class Sacrifice(Base):
    """What a box says of a sacrifice, and whether its proof was found good."""

    __tablename__ = "sacrifices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    node: Mapped[UUID] = mapped_column(ForeignKey(Node.id))
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id))
    animal_id: Mapped[UUID] = mapped_column(ForeignKey(Animal.id), index=True)
    executor_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(Text)
    opened: Mapped[dict[str, Any]]
    """A reading of the box's clocks: ``{wall_ms, mono_ms, boot}``."""
    note: Mapped[str] = mapped_column(Text)
    frozen: Mapped[bool | None]
    """Whether its box had been told that the shares of the animal are frozen; boxes of before do not say."""
    verified: Mapped[datetime | None]


class Hide(Base):
    """What boxes say of the hide of an animal; times are readings of their clocks."""

    __tablename__ = "hides"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    node: Mapped[UUID]
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), index=True)
    animal_id: Mapped[UUID] = mapped_column(ForeignKey(Animal.id), index=True)
    grade: Mapped[str | None] = mapped_column(Text)
    faults: Mapped[list[str] | None]
    heat_c: Mapped[int | None]
    flayed: Mapped[dict[str, Any] | None]
    salted: Mapped[dict[str, Any] | None]


class Batch(Base):
    """Meat that was weighed at a site, and the animals that it comes from."""

    __tablename__ = "batches"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    node: Mapped[UUID]
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), index=True)
    animals: Mapped[list[str]]
    weight_g: Mapped[int]
    packs: Mapped[int]
    weighed: Mapped[dict[str, Any]]


class FeedHead(Base):
    """The cursor of the latest change at a site. Locked from taking a number until that transaction ends."""

    __tablename__ = "feed_heads"

    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), primary_key=True)
    cursor: Mapped[int] = mapped_column(BigInteger)


class FeedMark(Base):
    """The name of a place in the feed. A hub that was put back allots the cursor again, but never the mark."""

    __tablename__ = "feed_marks"

    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), primary_key=True)
    cursor: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    mark: Mapped[bytes]


class FeedRow(Base):
    """A record that the boxes of a site are told of, at the cursor of its latest change; no fields: it is gone.

    What is told of a person is sealed with the key of ``subject``, and stands in no other column.
    """

    __tablename__ = "feed"
    __table_args__ = (Index("ix_feed_cursor", "site_id", "cursor", unique=True),)

    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), primary_key=True)
    entity: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    cursor: Mapped[int] = mapped_column(BigInteger)
    fields: Mapped[dict[str, Any] | None]
    subject: Mapped[UUID | None] = mapped_column(ForeignKey(DataKey.subject), index=True)
    sealed: Mapped[bytes | None]
