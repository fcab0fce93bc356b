"""Playing seeds and tapes, and what came of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from shared.errors import QurbaniError
from sync.simulation.ports import Maker
from sync.simulation.shrink import shrink
from sync.simulation.tape import SMALL, Size, Tape, draw
from sync.simulation.world import STATES, World


class Result(msgspec.Struct, frozen=True):
    """What came of one tape: the hash of its trace, the named states that it met, and what was wrong, if anything."""

    trace: str
    seen: tuple[str, ...]
    failure: str | None


class Failure(msgspec.Struct, frozen=True):
    seed: int
    what: str


class Report(msgspec.Struct):
    """What came of many seeds. ``states`` counts the seeds that met each named state; ``trace`` covers all traces."""

    seeds: int = 0
    failures: list[Failure] = []
    states: Counter[str] = msgspec.field(default_factory=Counter)
    trace: str = ""

    def add(self, seed: int, result: Result) -> None:
        """Take in a seed's result; in the order of the seeds."""
        self.seeds += 1
        self.states.update(result.seen)
        self.trace = hashlib.sha256(f"{self.trace}{result.trace}".encode()).hexdigest()
        if result.failure:
            self.failures.append(Failure(seed, result.failure))

    @property
    def never(self) -> list[str]:
        """The named states that no seed has met."""
        return [state for state in STATES if not self.states[state]]


def play(tape: Tape, maker: Maker, lines: list[str] | None = None) -> Result:
    """Play a tape. ``lines`` takes the trace, for whoever wants to read it."""
    world = World(tape, maker, lines)
    try:
        trace, failure = world.play(), None
    except QurbaniError as error:
        trace, failure = "", f"an error that nobody awaits: {error}"
    except Exception as error:  # whatever breaks in the code under test is what is looked for
        trace, failure = "", f"{type(error).__name__}: {error}"
    return Result(trace, tuple(sorted(world.seen)), failure)


def play_seeds(
    seeds: Iterable[int], makers: Callable[[int], Maker], size: Size = SMALL
) -> list[tuple[int, Result]]:
    """Play the tapes of seeds, each against what ``makers`` makes for it."""
    return [(seed, play(draw(seed, size), makers(seed))) for seed in seeds]


def shortest(tape: Tape, maker: Maker) -> Tape:
    """What is left of a failing tape when everything is gone that it fails without."""
    return shrink(tape, lambda candidate: play(candidate, maker).failure is not None)
