"""How much meat an animal should give, to be set beside what was weighed.

Dressing percentages: the carcass with its bones, without head, feet, hide and offal, as a share of the live weight.
They depend on breed, sex, fatness and how long the animal has fasted, so each is a range, of those that textbooks give
(FAO Animal Production and Health Paper 91, *Guidelines for slaughtering, meat cutting and further processing*, and the
literature on each species). Outside of it somebody should look again at both scales; it accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

BatchGrams = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Packs = Annotated[int, msgspec.Meta(ge=0, le=100_000)]

YIELD: dict[str, tuple[float, float]] = {
    "sheep": (0.42, 0.55),
    "goat": (0.40, 0.53),
    "cow": (0.45, 0.60),
    "buffalo": (0.43, 0.55),
    "camel": (0.45, 0.60),
}
"""Least and most of the live weight that becomes meat with its bones."""


def expected(animals: Iterable[tuple[str | None, int | None]]) -> tuple[int, int]:
    """Least and most grams of meat from animals of these species and live weights.

    What was never weighed adds nothing; say beside it how many those are.
    """
    ranges = [(YIELD[species], grams) for species, grams in animals if grams is not None and species in YIELD]
    low = sum(round(least * grams) for (least, _), grams in ranges)
    return low, sum(round(most * grams) for (_, most), grams in ranges)
