"""What boxes tell of their checks, and what other services are told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from shared.domain.day import Plan
from shared.domain.verdict import Frame, Outcome, Reason, ShareMatch, Verdict, Word


class Told(msgspec.Struct, frozen=True):
    """The merged fields of a verdict; see :data:`shared.domain.fields.FIELDS`."""

    video_id: UUID
    outcome: Outcome
    body: Verdict


class Repeat(msgspec.Struct, frozen=True):
    """The earlier video ``video_id`` shows the same act: of its ``picture`` and ``sound`` the share of bits that differ
    (unrelated: about 0.5), None where they cannot be compared."""

    video_id: UUID
    picture: float | None
    sound: float | None
    mirrored: bool
    speed: float


class Check(msgspec.Struct, frozen=True):
    """How the check of a video stands: ``outcome`` and ``ended`` are None until it has ended."""

    video_id: UUID
    outcome: str | None
    reasons: tuple[str, ...]
    ended: datetime | None
    earlier: tuple[Repeat, ...]


class HeardName(msgspec.Struct, frozen=True):
    """A name that was heard in a video, ``seconds`` from its start."""

    name: str
    seconds: float


Say = Literal["approve", "reject", "remedy"]
Decision = Literal["approved", "rejected", "remedy"]
Kind = Literal["flagged", "blind", "disputed"]
Doubt = Literal["not_my_name", "not_my_animal", "not_real", "other"]
"""Why somebody doubts a film that was found good."""


class NewVote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says of a video: that it shows the sacrifice and has the names, that it does not, or that the site
    is to do again what ``note`` says. The note of a remedy goes to the site: it names nobody."""

    vote: Say
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class NewDispute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Doubt


class NewOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a sacrifice counts that was not within Eid."""

    reason: Annotated[str, msgspec.Meta(min_length=3, max_length=500, pattern=r"\S")]


class Override(msgspec.Struct, frozen=True):
    """Who said that it counts all the same, when and why."""

    by: UUID
    at: datetime
    reason: str


class Untimely(msgspec.Struct, frozen=True):
    """A sacrifice that was outside the days and hours of Eid at its site, or of which nobody can tell (``doubt``).

    It counts only once there is an ``override``.
    """

    sacrifice_id: UUID
    animal_id: UUID
    doubt: str
    override: Override | None


class Progress(msgspec.Struct, frozen=True):
    """Animals of a site. Each of those ``recorded`` is ``verified``, in ``review``, to be done ``again`` or in
    ``checking``; ``unfrozen`` were sacrificed before the box knew that their shares were fixed."""

    site_id: UUID
    recorded: int
    verified: int
    review: int
    again: int
    checking: int
    unfrozen: int
    day: Plan


class Repeated(msgspec.Struct, frozen=True):
    """How many of somebody's videos a check objected to for this reason."""

    code: str
    count: int


class Coaching(msgspec.Struct, frozen=True):
    """Of the ``sacrifices`` of a person whose first video was judged, ``first_take`` were accepted with that."""

    executor_id: UUID
    name: str
    sacrifices: int
    first_take: int
    reasons: list[Repeated]


class Doubted(msgspec.Struct, frozen=True):
    """That a film was doubted, and what came of it: ``answer`` is what whoever decided wrote to the donor.

    ``stands`` is null as long as people look at it.
    """

    reason: Doubt
    at: datetime
    stands: bool | None
    decided: datetime | None
    answer: str


class Vote(msgspec.Struct, frozen=True):
    user_id: UUID
    vote: Say
    note: str
    at: datetime


class Waiting(msgspec.Struct, frozen=True):
    """A video that waits for a person. ``deadline`` is the end of Eid at its site; ``votes`` so far, and whether one of
    them has ``rejected`` it."""

    video_id: UUID
    site_id: UUID
    kind: Kind
    opened: datetime
    deadline: datetime | None
    votes: int
    taken: bool
    rejected: bool = False


class Figures(msgspec.Struct, frozen=True):
    """Of the reviews: how many wait, since when the oldest does, and how many checks were seen again ``blind`` by
    people, who ``agreed`` with so many of them."""

    waiting: int
    oldest: datetime | None
    blind: int
    agreed: int


class Case(msgspec.Struct, frozen=True):
    """A video under review, and the evidence for it; of a blind one only what is claimed.

    ``needed`` says how many people each decision takes. ``doubts`` are those of :mod:`cloud.processing.completion`,
    ``earlier`` the videos of other sacrifices that show the act.
    """

    video_id: UUID
    sacrifice_id: UUID
    site_id: UUID
    kind: Kind
    opened: datetime
    deadline: datetime | None
    claimed: list[str]
    needed: dict[Say, int]
    votes: list[Vote]
    decision: Decision | None = None
    doubted: Doubt | None = None
    reasons: tuple[Reason, ...] = ()
    doubts: tuple[str, ...] = ()
    shares: tuple[ShareMatch, ...] = ()
    frames: tuple[Frame, ...] = ()
    words: tuple[Word, ...] = ()
    earlier: tuple[UUID, ...] = ()
