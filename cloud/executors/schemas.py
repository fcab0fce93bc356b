"""What goes in and out of the sites' routes, and what other services are told."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from cloud.executors.filling import Why
from cloud.platform.fields import Language, Name
from shared.domain.animal import SHEEP_MONTHS, SheepMonths, Species, Tag

Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Pin = Annotated[str, msgspec.Meta(pattern="^[0-9]{6,12}$")]
COUNTRY = "^[A-Z]{2}$"
Country = Annotated[str, msgspec.Meta(pattern=COUNTRY)]
"""ISO 3166-1 alpha-2."""
Reason = Annotated[str, msgspec.Meta(min_length=3, max_length=500, pattern=r"\S")]


class NewSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    timezone: Annotated[str, msgspec.Meta(max_length=64)]
    languages: Annotated[list[Language], msgspec.Meta(min_length=1, max_length=10)]
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    country: Country | None = None


class NewMoon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``day`` is 10 Dhu al-Hijja by the moon that was sighted for the country."""

    day: date


class Moon(msgspec.Struct, frozen=True):
    country: str
    day: date


class SiteEid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``day`` is 10 Dhu al-Hijja; null is that of the country of the site, also when that is said anew.

    ``begins`` is the local time at which prayer and sermon are over; without, it is reckoned from the sun. ``days`` is
    how many days count: four, or three as the Hanafi school has it. ``sheep_months`` is from which age sheep count,
    ``per_hour`` how many animals the site plans to sacrifice in an hour.
    """

    day: date | None = None
    begins: time | None = None
    days: Literal[3, 4] = 4
    sheep_months: SheepMonths = SHEEP_MONTHS
    per_hour: Annotated[int, msgspec.Meta(ge=1, le=2000)] | None = None


class Site(msgspec.Struct, frozen=True):
    """``eid_begins`` and ``eid_ends`` are what was said of its Eid and its sun give; null as long as they give nothing.

    A sacrifice before or after does not count.
    """

    id: UUID
    name: str
    timezone: str
    languages: list[str]
    latitude: float | None
    longitude: float | None
    eid_begins: datetime | None
    eid_ends: datetime | None
    country: str | None = None
    eid_day: date | None = None


class NewAnimal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tag: Tag
    species: Species
    pen: Annotated[str, msgspec.Meta(max_length=40)] = ""


class Animal(msgspec.Struct, frozen=True):
    """``ineligible`` is why it does not count as a sacrifice: then it gets no shares. What a box has not said is null.

    ``node`` is the box that wrote it down first, null where it was listed here; ``same_tag`` says that another animal
    of the site has its tag. From when it is ``frozen`` no share comes or goes.
    """

    id: UUID
    site_id: UUID
    tag: str
    species: str
    pen: str
    capacity: int
    ineligible: list[str] = []
    weight_g: int | None = None
    age_months: int | None = None
    sex: str | None = None
    defects: list[str] = []
    vet_note: str = ""
    arrived: dict[str, Any] | None = None
    node: UUID | None = None
    same_tag: bool = False
    frozen: datetime | None = None


class Freeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which animals: null means all of the site on which there are shares."""

    animals: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=5000)] | None = None


class NewThaw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an animal will not be sacrificed. It is kept, and names nobody."""

    reason: Reason


class NewExecutor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    language: Language
    pin: Pin


class NewPin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pin: Pin


class NewTeam(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``members`` are people of the site; ``lead_id`` is one of them."""

    name: Name
    members: Annotated[list[UUID], msgspec.Meta(max_length=200)]
    lead_id: UUID | None = None


class Team(msgspec.Struct, frozen=True):
    id: UUID
    site_id: UUID
    name: str
    lead_id: UUID | None
    members: list[UUID]


class Executor(msgspec.Struct, frozen=True):
    id: UUID
    site_id: UUID
    name: str
    language: str


class EnrolmentCode(msgspec.Struct, frozen=True):
    """Type ``code`` into the box before ``expires``; it works once."""

    code: str
    expires: datetime


class BoxKey(msgspec.Struct, frozen=True):
    """Where a box is, its Ed25519 public key, and when it was shut out."""

    site_id: UUID
    sign_key: bytes
    revoked: datetime | None


class Node(msgspec.Struct, frozen=True):
    """A box. ``seen`` is when it last exchanged ops, ``revoked`` when it was shut out.

    ``parent`` is the box under whose name it went before: its disk had been cloned, or put back to an old state.
    """

    id: UUID
    site_id: UUID
    name: str
    enrolled: datetime
    seen: datetime | None
    revoked: datetime | None
    parent: UUID | None = None


class Allocate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At which site; null: where the donor wants it, or else the best of all sites, or of those of a ``country``."""

    site_id: UUID | None = None
    country: Country | None = None


class Moved(msgspec.Struct, frozen=True):
    """A share of the order ``reference`` that goes to another animal: as it is ``merged`` with others, is
    ``converted`` into a small animal of its own, or as the first was found ``unfit``."""

    share_id: UUID
    reference: str
    from_id: UUID
    from_tag: str
    to_id: UUID
    to_tag: str
    to_species: str
    why: Why


class Filling(msgspec.Struct, frozen=True):
    """What to do about animals that did not fill. ``plan`` names it, for whoever approves it.

    ``short`` are the animals that keep open seats, ``stuck`` the shares on unfit animals for which there is no room.
    """

    plan: str
    moved: list[Moved]
    short: list[UUID]
    stuck: list[UUID]


class ApproveFilling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan that was looked at, and whether that was to convert what is left over."""

    plan: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    convert: bool = False


class Hide(msgspec.Struct, frozen=True):
    """``within_s`` is how soon after flaying it should have been in salt, by the heat; ``took_s`` how soon it was."""

    id: UUID
    animal_id: UUID
    node: UUID
    grade: str | None
    faults: list[str]
    heat_c: int | None
    flayed: datetime | None
    salted: datetime | None
    within_s: float
    took_s: float | None


class Batch(msgspec.Struct, frozen=True):
    """Meat that was weighed, and the animals that it comes from."""

    id: UUID
    node: UUID
    animals: list[UUID]
    weight_g: int
    packs: int
    weighed: datetime


class Balance(msgspec.Struct, frozen=True):
    """What went in and came out at a site on a day of sacrifices, by its own date.

    ``live_g`` is of the ``weighed_in`` of the ``animals`` that have a weight, ``expected_g`` the least and most that
    these should give. ``without_hide`` and ``unweighed`` name the animals of which nobody has said anything. A batch of
    several days counts on that of its first animal.
    """

    day: date
    animals: int
    weighed_in: int
    live_g: int
    expected_g: tuple[int, int]
    meat_g: int
    packs: int
    hides: int
    without_hide: list[UUID]
    unweighed: list[UUID]


class Sacrifice(msgspec.Struct, frozen=True):
    """``opened`` is a reading of the box's clocks, ``verified`` when its proof was found good.

    ``frozen`` is whether the box knew that the shares of the animal do not change any more; null: it did not say.
    """

    id: UUID
    node: UUID
    site_id: UUID
    animal_id: UUID
    executor_id: UUID
    state: str
    opened: dict[str, Any]
    note: str
    verified: datetime | None
    frozen: bool | None = None
