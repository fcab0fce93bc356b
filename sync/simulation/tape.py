"""A tape: everything that happens to a world, in order of time. A seed makes one; a failing one can be cut down.

Each concern draws from a stream of its own, and what befalls one conversation stands beside that conversation, so
that taking an event out, or turning a fault off, moves nothing else. Numbers in events choose among what is there
when they happen (an animal, a sacrifice, a transaction), so that every part of a tape is a tape.
"""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

Fault = Literal["lost", "reply lost", "twice", "late", "cut", "sign-in page", "busy"]
FAULTS: tuple[Fault, ...] = ("lost", "reply lost", "twice", "late", "cut", "sign-in page", "busy")


class Fate(msgspec.Struct, frozen=True, array_like=True):
    """What befalls one call: how long it takes, and what goes wrong ("" for nothing). ``n`` is how much of it."""

    ms: int
    fault: Fault | Literal[""] = ""
    n: int = 0


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """At ``at`` (ms since the start), ``do`` something to box ``box`` or to the hub; see :mod:`.world` for what."""

    at: int
    do: str
    box: int = 0
    n: int = 0
    m: int = 0
    line: tuple[Fate, ...] = ()


class Tape(msgspec.Struct, frozen=True):
    """``boxes`` are the sites of the boxes, by their numbers."""

    boxes: tuple[int, ...]
    events: tuple[Event, ...]


class Size(msgspec.Struct, frozen=True):
    """How large a world is: boxes, and events of each concern."""

    boxes: tuple[int, int]
    work: tuple[int, int]
    news: tuple[int, int]
    talks: tuple[int, int]


SMALL = Size(boxes=(1, 3), work=(4, 9), news=(0, 5), talks=(3, 6))
LARGE = Size(boxes=(20, 20), work=(180, 220), news=(20, 40), talks=(60, 100))

WORK = ("open", "open", "film", "film", "judge", "note", "note", "spoil")
BYTES = (100, 2_000, 2_000, 70_000, 300_000)
"""Sizes of videos."""
NEWS = ("tell", "tell", "gone", "redrive")
SWARM = (*FAULTS, "power", "full", "hub power", "clock", "back", "clone", "hub back")
"""What may go wrong. Each seed turns some of it on; all of it at once would hide what needs quiet to show."""


def draw(seed: int, size: Size = SMALL) -> Tape:
    """The tape of a seed."""
    plan = Random(f"{seed}/plan")
    span = plan.choice([10 * MINUTE, 3 * HOUR, 2 * DAY])
    boxes = tuple(plan.randint(0, 1) for _ in range(plan.randint(*size.boxes)))
    on = {fault for fault in SWARM if plan.random() < 0.3}
    events = [
        *(Event(n, "talk", box=n) for n in range(len(boxes))),
        *_work(Random(f"{seed}/work"), size, boxes, span),
        *_news(Random(f"{seed}/news"), size, boxes, span),
        *_talks(seed, size, boxes, span, [fault for fault in FAULTS if fault in on]),
    ]
    moments = [event.at for event in events]
    for fault, draw_one in _NEMESES.items():
        if fault in on:
            when = When(Random(f"{seed}/{fault}"), len(boxes), span, moments)
            for _ in range(when.chance.randint(1, 2 * len(boxes))):
                events += draw_one(when)
    return Tape(boxes, tuple(sorted(events, key=lambda event: event.at)))


def _work(chance: Random, size: Size, boxes: tuple[int, ...], span: int) -> list[Event]:
    return [
        Event(chance.randrange(span), chance.choice(WORK), chance.randrange(len(boxes)), chance.randrange(1 << 16),
              chance.choice(BYTES))
        for _ in range(chance.randint(*size.work))
    ]


def _news(chance: Random, size: Size, boxes: tuple[int, ...], span: int) -> list[Event]:
    return [
        Event(chance.randrange(span), chance.choice(NEWS), n=chance.randrange(1 << 16), m=chance.choice(boxes))
        for _ in range(chance.randint(*size.news))
    ]


def _talks(seed: int, size: Size, boxes: tuple[int, ...], span: int, faults: list[Fault]) -> list[Event]:
    chance, found = Random(f"{seed}/talks"), []
    for n in range(chance.randint(*size.talks)):
        line = Random(f"{seed}/line/{n}")
        fates = [_fate(line, faults) for _ in range(line.randint(1, 8))] if faults else []
        at, box, which = chance.randrange(span), chance.randrange(len(boxes)), chance.randrange(1 << 16)
        found.append(Event(at, "talk", box, which, line=tuple(fates)))
    return found


def _fate(chance: Random, faults: list[Fault]) -> Fate:
    ms = chance.choice([40, 300, 1_500, 8_000])
    return Fate(ms, chance.choice(faults) if chance.random() < 0.35 else "", chance.randrange(1 << 16))


class When(msgspec.Struct, frozen=True):
    """When and to whom one kind of misfortune happens."""

    chance: Random
    boxes: int
    span: int
    moments: list[int]
    """When something else happens."""

    def ever(self) -> int:
        return self.chance.randrange(self.span)

    def beside(self) -> int:
        """Right before or after something happens, more often than not: there it hurts most."""
        if self.chance.random() < 0.2:
            return self.ever()
        return max(0, self.chance.choice(self.moments) + self.chance.choice((-1, 1)))

    def box(self) -> int:
        return self.chance.randrange(self.boxes)


def _power(when: When) -> list[Event]:
    return [Event(when.beside(), "power", when.box(), when.chance.randrange(6), when.chance.randrange(2))]


def _full(when: When) -> list[Event]:
    return [Event(when.beside(), "full", when.box(), when.chance.randint(1, 3))]


def _hub_power(when: When) -> list[Event]:
    return [Event(when.beside(), "hub power", n=when.chance.randrange(4), m=when.chance.randrange(2))]


def _clock(when: When) -> list[Event]:
    off = when.chance.choice([-DAY, -HOUR, -5 * SECOND, 5 * SECOND, HOUR, DAY, 12 * 365 * DAY, -56 * 365 * DAY])
    return [Event(when.ever(), "clock", when.box(), off)]


def _back(when: When) -> list[Event]:
    saved, box, which = when.ever(), when.box(), when.chance.randrange(1 << 16)
    later = when.chance.randrange(when.span)
    return [Event(saved, "save", box, which), Event(saved + later, "back", box, which)]


def _clone(when: When) -> list[Event]:
    return [Event(when.ever(), "clone", when.box(), when.chance.randrange(1 << 16))]


def _hub_back(when: When) -> list[Event]:
    saved = when.ever()
    return [Event(saved, "hub save"), Event(saved + when.chance.randrange(when.span), "hub back")]


_NEMESES = {
    "power": _power,
    "full": _full,
    "hub power": _hub_power,
    "clock": _clock,
    "back": _back,
    "clone": _clone,
    "hub back": _hub_back,
}
