"""The animals of a site as a tablet lists them: by pen, with how far each is and who stands before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from uuid import UUID

import msgspec

from edge.auth import Executor
from edge.place import Place
from edge.site import AnimalView, ShareView

Phase = str
"""``waiting``, ``unfit``, ``taken``, ``opened``, ``checking``, ``again``, ``review`` or ``done``."""

PHASES: tuple[Phase, ...] = ("waiting", "unfit", "taken", "opened", "checking", "again", "review", "done")

_JUDGED = {"authentic": "done", "rejected": "again", "review": "review"}


class Listed(msgspec.Struct, frozen=True):
    """``by`` is the name of whoever else stands before it, ``find`` what a search looks in.

    ``place`` is how far its best video has come.
    """

    id: UUID
    tag: str
    species: str | None
    pen: str
    shares: list[ShareView]
    phase: Phase
    by: str
    find: str
    place: Place | None
    same_tag: bool


def by_pen(
    animals: Sequence[AnimalView], holders: Mapping[UUID, UUID], people: Sequence[Executor], me: UUID
) -> list[tuple[str, list[Listed]]]:
    names = {person.id: person.name for person in people}
    listed = [_listed(animal, holders.get(animal.id), names, me) for animal in animals]
    return [(pen, list(group)) for pen, group in groupby(listed, key=lambda animal: animal.pen)]


def _listed(animal: AnimalView, holder: UUID | None, names: Mapping[UUID, str], me: UUID) -> Listed:
    by = names.get(holder, "") if holder and holder != me else ""
    shares = (word for share in animal.shares for word in (share.name, share.reference or ""))
    return Listed(
        id=animal.id,
        tag=animal.tag or "",
        species=animal.species,
        pen=animal.pen or "",
        shares=animal.shares,
        phase=phase(animal, is_taken=bool(by)),
        by=by,
        find=" ".join([animal.tag or "", *shares]).casefold(),
        place=animal.place,
        same_tag=animal.same_tag,
    )


def phase(animal: AnimalView, *, is_taken: bool) -> Phase:
    """How far an animal is. What is done stays done, also while somebody records it once more."""
    if animal.outcome == "authentic":
        return "done"
    if is_taken:
        return "taken"
    if animal.state == "recorded":
        return "checking"
    if animal.outcome:
        return _JUDGED[animal.outcome]
    return "unfit" if animal.ineligible and animal.state == "waiting" else animal.state
