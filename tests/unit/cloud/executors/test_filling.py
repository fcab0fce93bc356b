"""The plan for animals that did not fill, against a search through everything that could be done instead."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from cloud.executors.filling import Plan, Standing, plan

CAPACITY = 3
"""Of the cows here: small enough that everything can be tried."""


def herd(cows: list[tuple[int, bool, bool]], sheep: list[tuple[bool, bool]]) -> list[Standing]:
    """Cows with so many shares, and sheep with one or none: each may be frozen, and each fit."""
    names = iter(range(1, 1000))

    def standing(species: str, capacity: int, count: int, frozen: bool, fit: bool) -> Standing:
        shares = tuple(UUID(int=next(names)) for _ in range(count))
        return Standing(UUID(int=10_000 + next(names)), species, capacity, shares, frozen, fit)

    return [
        *(standing("cow", CAPACITY, *each) for each in cows),
        *(standing("sheep", 1, int(taken), False, fit) for taken, fit in sheep),
    ]


def alone(animals: list[Standing]) -> list[list[UUID]]:
    """Each share is an order of its own."""
    return [[share] for each in animals for share in each.shares]


def after(animals: list[Standing], made: Plan) -> dict[UUID, list[UUID]]:
    """Who is on which animal once the plan is carried out."""
    seats = {each.animal_id: list(each.shares) for each in animals}
    for change in made.changes:
        seats[change.from_id].remove(change.share_id)
        seats[change.to_id].append(change.share_id)
    return seats


def by_two(animals: list[Standing]) -> list[list[UUID]]:
    """Two shares that were bought one after the other are of one order, wherever they are."""
    shares = sorted(share for each in animals for share in each.shares)
    return [shares[at : at + 2] for at in range(0, len(shares), 2)]


COWS = st.lists(st.tuples(st.integers(0, CAPACITY), st.booleans(), st.booleans()), max_size=6)
SHEEP = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=5)


@example([(1, False, False), (3, False, False), (3, False, False)], [(False, True)], True, by_two)
@given(COWS, SHEEP, st.booleans(), st.sampled_from([alone, by_two]))
def test_whatever_stands_there_nobody_is_lost_and_nothing_frozen_is_touched(
    cows: list[tuple[int, bool, bool]], sheep: list[tuple[bool, bool]], convert: bool, bought: Any
) -> None:
    animals = herd(cows, sheep)
    orders = bought(animals)
    made = plan(animals, orders, convert=convert)
    by_id = {each.animal_id: each for each in animals}
    seats = after(animals, made)

    moved = [change.share_id for change in made.changes]
    assert len(set(moved)) == len(moved)
    assert Counter(share for on in seats.values() for share in on) == Counter(
        share for each in animals for share in each.shares)
    for animal_id, shares in seats.items():
        each = by_id[animal_id]
        assert len(shares) <= each.capacity
        if each.frozen:
            assert sorted(shares) == sorted(each.shares)
        elif not each.fit:
            assert set(shares) <= set(made.stuck), "whoever stays on it has nowhere to go, and the plan says so"
    for change in made.changes:
        from_, to = by_id[change.from_id], by_id[change.to_id]
        assert not from_.frozen
        assert not to.frozen
        assert to.fit
        assert (change.why == "converted") == (from_.capacity > to.capacity)
        assert change.why != "unfit" or not from_.fit
    own = {change.share_id for change in made.changes if change.why == "converted"}
    for order in orders:
        assert own.isdisjoint(order) or own.issuperset(order), "an order is of one species"
    assert plan([by_id[id] for id in reversed(by_id)], orders, convert=convert).name() == made.name()
    settled = [
        Standing(each.animal_id, each.species, each.capacity, tuple(seats[each.animal_id]), each.frozen, each.fit)
        for each in animals
    ]  # fmt: skip
    assert plan(settled, orders, convert=False).changes == (), "after it there is nothing to do"


@given(st.lists(st.integers(0, CAPACITY), min_size=1, max_size=4), st.integers(0, 3), st.booleans())
def test_no_other_way_leaves_fewer_seats_open_or_moves_fewer(counts: list[int], free: int, convert: bool) -> None:
    animals = herd([(count, False, True) for count in counts], [(False, True)] * free)
    made = plan(animals, alone(animals), convert=convert)
    seats = after(animals, made)
    left_open = sum(CAPACITY - len(on) for each in animals if each.capacity > 1 and (on := seats[each.animal_id]))
    assert (left_open, len(made.changes)) == _best(counts, free if convert else 0)
    assert made.stuck == ()


def _best(counts: list[int], free: int) -> tuple[int, int]:
    """By trying every number of shares on every cow."""
    tried = []
    for then in product(range(CAPACITY + 1), repeat=len(counts)):
        converted = sum(counts) - sum(then)
        if 0 <= converted <= free:
            moved = sum(max(0, before - now) for before, now in zip(counts, then, strict=True))
            tried.append((sum(CAPACITY - now for now in then if now), moved))
    return min(tried)


def test_the_last_to_come_are_those_who_get_an_animal_of_their_own() -> None:
    animals = herd([(2, False, True), (2, False, True)], [(False, True)])
    made = plan(animals, alone(animals), convert=True)
    assert [(change.share_id.int, change.why) for change in made.changes] == [
        (min(animals[1].shares).int, "merged"), (max(animals[1].shares).int, "converted")]
