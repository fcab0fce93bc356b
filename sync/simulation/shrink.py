"""Cutting a failing tape down to what it needs, after Zeller and Hildebrandt, "Simplifying and isolating
failure-inducing input" (2002): drop ever smaller parts of it as long as the rest still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from sync.simulation.tape import Event, Fate, Tape

T = TypeVar("T")

MAX_RUNS = 600


class _Budget(Exception):
    """Enough has been tried."""


def shrink(tape: Tape, fails: Callable[[Tape], bool], max_runs: int = MAX_RUNS) -> Tape:
    """The shortest tape found that ``fails`` still; ``tape`` must. Plays at most ``max_runs`` tapes."""
    best, runs = tape, 0

    def keeps(candidate: Tape) -> bool:
        nonlocal best, runs
        if runs == max_runs:
            raise _Budget
        runs += 1
        if candidate != best and fails(candidate):
            best = candidate
            return True
        return False

    try:
        while True:
            before = best
            _drop(best.events, lambda events: keeps(_with(best, tuple(events))))
            for candidate in _simpler(best):
                keeps(candidate)
            if best == before:
                return best
    except _Budget:
        return best


def _drop(items: Sequence[T], keeps: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """The items that are left when ever smaller runs of them were tried to do without."""
    size = len(items)
    while size:
        start = 0
        while start < len(items):
            fewer = [*items[:start], *items[start + size:]]
            if keeps(fewer):
                items = fewer
            else:
                start += size
        size //= 2
    return items


def _simpler(tape: Tape) -> Iterator[Tape]:
    """Tapes with one event made plainer: no fate, or a fate without its fault."""
    if len(tape.boxes) > 1:
        yield msgspec.structs.replace(tape, boxes=tape.boxes[:-1])
    for index, event in enumerate(tape.events):
        for line in _plainer(event.line):
            changed = msgspec.structs.replace(event, line=line)
            yield _with(tape, (*tape.events[:index], changed, *tape.events[index + 1:]))


def _plainer(line: tuple[Fate, ...]) -> Iterator[tuple[Fate, ...]]:
    if line:
        yield ()
        yield line[:-1]
    for index, fate in enumerate(line):
        if fate.fault:
            yield (*line[:index], Fate(fate.ms), *line[index + 1:])


def _with(tape: Tape, events: tuple[Event, ...]) -> Tape:
    return msgspec.structs.replace(tape, events=events)
