"""The plan for animals that did not fill: whose shares go where, so that as few as possible are moved.

A cow is paid for by seven; what goes to the knife half empty was paid for by nobody, and donors who wait for others to
join wait in vain. So shares of begun animals are put together on as few as hold them (``merged``), and where the
charity wants it and small animals stand free, those that are left over each get one of their own (``converted``).
Shares on an animal that was found unfit have to go in any case.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Literal
from uuid import UUID

import msgspec

Why = Literal["merged", "converted", "unfit"]


class Standing(msgspec.Struct, frozen=True):
    """An animal and the shares on it. One that is ``frozen`` neither gives nor takes; one that is not ``fit`` gives."""

    animal_id: UUID
    species: str
    capacity: int
    shares: tuple[UUID, ...]
    frozen: bool = False
    fit: bool = True


class Change(msgspec.Struct, frozen=True):
    """A share that goes from one animal to another."""

    share_id: UUID
    from_id: UUID
    to_id: UUID
    why: Why


class Plan(msgspec.Struct, frozen=True):
    """``short`` are the animals that keep open seats all the same, ``stuck`` the shares for which there is no room."""

    changes: tuple[Change, ...] = ()
    short: tuple[UUID, ...] = ()
    stuck: tuple[UUID, ...] = ()

    def name(self) -> str:
        """The same for the same plan, so that what was looked at is what is approved."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


def plan(animals: Iterable[Standing], orders: Collection[Collection[UUID]], *, convert: bool) -> Plan:
    """As few animals as hold all shares, then as few changes as lead there. ``orders`` are their shares.

    With ``convert`` no seat stays open where enough small animals of a kind are free for those who are left over. These
    are whole orders, as an order is of one species, and of those that came last.
    """
    loose = sorted((each for each in animals if not each.frozen), key=attrgetter("species", "animal_id"))
    single = [each for each in loose if each.capacity == 1]
    free = [each for each in single if each.fit and not each.shares]
    parts = [_replace(group, free) for _, group in groupby(single, key=attrgetter("species"))]
    large = [each for each in loose if each.capacity > 1]
    for _, group in groupby(large, key=attrgetter("species")):
        parts.append(_merge(list(group), free, orders if convert else ()))
    return Plan(*(tuple(each for part in parts for each in getattr(part, name)) for name in Plan.__struct_fields__))


def _replace(singles: Iterable[Standing], free: list[Standing]) -> Plan:
    """Whoever has an unfit one gets another of its kind; those are taken out of ``free``."""
    changes: list[Change] = []
    stuck: list[UUID] = []
    for each in singles:
        for share_id in () if each.fit else each.shares:
            other = next((one for one in free if one.species == each.species), None)
            if other is None:
                stuck.append(share_id)
            else:
                free.remove(other)
                changes.append(Change(share_id, each.animal_id, other.animal_id, "unfit"))
    return Plan(tuple(changes), (), tuple(stuck))


def _merge(animals: Sequence[Standing], free: list[Standing], orders: Collection[Collection[UUID]]) -> Plan:
    """Of one species of several shares: as few as hold them all, and of those the fullest, as they move the fewest."""
    capacity, total = animals[0].capacity, sum(len(each.shares) for each in animals)
    whole, rest = divmod(total, capacity)
    fit = sorted((each for each in animals if each.fit), key=lambda each: -len(each.shares))
    own = _left_over(_moving(animals, fit[:whole]), orders, rest)
    small = _of_a_kind(free, rest) if own else []
    if not small:
        own = set()
    kept = fit[: whole + bool(rest and not small)]

    moving = sorted(_moving(animals, kept).items())
    room = [each.animal_id for each in kept for _ in range(capacity - len(each.shares))]
    others = [(share, each) for share, each in moving if share not in own]
    leaving = [(share, each) for share, each in moving if share in own]
    for each in small:
        free.remove(each)
    changes = (
        *(Change(share, each.animal_id, to_id, "merged" if each.fit else "unfit")
          for (share, each), to_id in zip(others, room, strict=False)),
        *(Change(share, each.animal_id, to.animal_id, "converted")
          for (share, each), to in zip(leaving, small, strict=True)),
    )  # fmt: skip
    taken = Counter(change.to_id for change in changes)
    short = tuple(each.animal_id for each in kept if len(each.shares) + taken[each.animal_id] < capacity)
    return Plan(changes, short, tuple(share for share, _ in others[len(room) :]))


def _moving(animals: Iterable[Standing], kept: Collection[Standing]) -> dict[UUID, Standing]:
    """The shares that are not on what is kept, and where they are."""
    staying = {each.animal_id for each in kept}
    return {share: each for each in animals if each.animal_id not in staying for share in each.shares}


def _left_over(moving: Collection[UUID], orders: Collection[Collection[UUID]], count: int) -> set[UUID]:
    """So many shares, of whole orders that all move, the last to come first; none where no orders make that number."""
    reached: dict[int, set[UUID]] = {0: set()}
    for shares in sorted((order for order in orders if all(share in moving for share in order)), key=max, reverse=True):
        for chosen in list(reached.values()):
            reached.setdefault(len(chosen) + len(shares), chosen | set(shares))
    return reached.get(count, set())


def _of_a_kind(free: Iterable[Standing], count: int) -> list[Standing]:
    """So many animals of one species; none where there are too few of each."""
    for _, group in groupby(free, key=attrgetter("species")):
        if len(found := list(group)) >= count:
            return found[:count]
    return []
