"""Where in what was heard a name may lie, and how likely it is the name that was said.

A name is aligned with the sounds of a transcript as one who mishears would change them: each sound is kept, taken for
another, lost or made up, at the odds of ``confusions.json``. Those were counted on synthetic speech by
``python -m benchmarks.speech.learn``. A score is a logarithm of odds: the name against any sounds at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.evidence.phonetics import PHONES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NOTHING = -1e9
_INDEX = {sign: at for at, sign in enumerate(PHONES)}


class Odds(msgspec.Struct, frozen=True):
    """Logarithms of odds: ``heard[said][written]``, of a sound that is lost, and of one that is made up."""

    heard: list[list[float]]
    lost: list[float]
    made_up: list[float]


BORDER = 1.5
"""The price of beginning or ending a name within a word."""


class Spots(msgspec.Struct, frozen=True):
    """``[names, sounds + 1]``: the score of the best place for a name that ends before a sound, and its start."""

    scores: Floats
    starts: Ints


def spot(names: Sequence[str], heard: str, borders: Sequence[int] | None = None) -> Spots:
    """Every name (its sounds) at every place of ``heard``, whose words begin and end at ``borders``."""
    table, made_up = _table()
    written = _encoded(heard)
    count, places = len(names), np.arange(len(written) + 1)
    said = np.full((count, max(map(len, names), default=0)), -1)
    for at, name in enumerate(names):
        said[at, : len(name)] = _encoded(name)
    made_up_until = np.concatenate([[0.0], np.cumsum(made_up[written])])
    price = np.full(len(places), 0.0 if borders is None else -BORDER)
    price[list(borders or ())] = 0.0
    scores, starts = np.tile(price, (count, 1)), np.tile(places, (count, 1))
    for column in said.T:
        lost = scores + table[column, -1][:, None]
        kept = np.full_like(scores, _NOTHING)
        kept[:, 1:] = scores[:, :-1] + table[column[:, None], written[None, :]]
        best = np.maximum(lost, kept) - made_up_until
        begun = np.where(kept >= lost, np.roll(starts, 1, axis=1), starts)
        # Sounds made up after this one: the best of all places before.
        reached = np.maximum.accumulate(best, axis=1)
        origin = np.maximum.accumulate(np.where(best >= reached, places, 0), axis=1)
        alive = (column >= 0)[:, None]
        scores = np.where(alive, reached + made_up_until, scores)
        starts = np.where(alive, np.take_along_axis(begun, origin, axis=1), starts)
    # Rounded, so that the same sounds score the same wherever they are.
    return Spots(np.round(scores + price, 6), starts)


@lru_cache(maxsize=8192)
def perfect(name: str) -> float:
    """The score of a name that is written just as it sounds."""
    table, _ = _table()
    signs = _encoded(name)
    return float(table[signs, signs].sum())


def by_part(parts: Sequence[str], heard: str) -> list[float]:
    """The score of each part of a name in all of ``heard``: the parts follow one another and leave nothing out."""
    table, made_up = _table()
    written = _encoded(heard)
    size = len(written) + 1
    totals = np.concatenate([[0.0], np.cumsum(made_up[written])])
    ways = []
    for part in parts:
        begun, origin = totals, np.arange(size)
        for sign in _encoded(part):
            kept = np.concatenate([[_NOTHING], totals[:-1] + table[sign, written]])
            lost = totals + table[sign, -1]
            totals, origin = np.maximum(kept, lost), np.where(kept >= lost, np.roll(origin, 1), origin)
            for at in range(1, size):
                if (more := totals[at - 1] + made_up[written[at - 1]]) > totals[at]:
                    totals[at], origin[at] = more, origin[at - 1]
        ways.append((begun, totals, origin))
    scores, at = [], size - 1
    for begun, totals, origin in reversed(ways):
        scores.append(float(totals[at] - begun[origin[at]]))
        at = int(origin[at])
    return scores[::-1]


def _encoded(signs: str) -> Ints:
    return np.array([_INDEX[sign] for sign in signs], np.int64)


@lru_cache(maxsize=1)
def _table() -> tuple[Floats, Floats]:
    """``[said, written or lost]``, and what is made up."""
    odds = msgspec.json.decode((files("shared.evidence") / "confusions.json").read_bytes(), type=Odds)
    return np.column_stack([odds.heard, odds.lost]), np.array(odds.made_up)
