"""A tape: everything that happens to a world, in order of time. A seed makes one; a failing one can be cut down.

Each concern draws from a stream of its own, and what befalls one conversation stands beside that conversation, so
that taking an event out, or turning a fault off, moves nothing else. Numbers in events choose among what is there
when they happen (an animal, a sacrifice, a transaction), so that every part of a tape is a tape.
"""

from __future__ import annotations

from collections.abc import Callable
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
    trips: tuple[int, int]
    """Journeys of a stick to the hub and back."""


SMALL = Size(boxes=(1, 3), work=(4, 9), news=(0, 5), talks=(3, 6), trips=(0, 2))
LARGE = Size(boxes=(20, 20), work=(180, 220), news=(20, 40), talks=(60, 100), trips=(10, 20))

WORK = ("open", "open", "film", "film", "judge", "note", "note", "spoil")
BYTES = (100, 2_000, 2_000, 70_000, 300_000)
"""Sizes of videos."""
NEWS = ("tell", "tell", "gone", "allot", "allot", "correct", "cancel", "redrive")
TRIPS = (
    ("import", "home"), ("import", "home"), ("import", "import", "home"), ("import", "home", "import", "home"),
    ("import", "export", "import", "home"), ("import",), (),
)  # fmt: skip
"""How a journey goes on after the box has written its bundle."""
STICKS = 2
"""In use at a time; a copy of each may lie in a drawer."""
SWARM = (
    *FAULTS, "power", "full", "hub power", "clock", "back", "clone", "hub back",
    "pulled", "copied", "altered", "swapped", "forged", "tidy", "shut out", "wipe",
)  # fmt: skip
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
        *_trips(Random(f"{seed}/trips"), size, boxes, span),
        *_relays(Random(f"{seed}/relays"), span),
    ]
    moments = [event.at for event in events]
    for fault, draw_one in _NEMESES.items():
        if fault in on:
            when = When(Random(f"{seed}/{fault}"), len(boxes), span, moments)
            for _ in range(when.chance.randint(1, 2 * len(boxes))):
                events += draw_one(when)
    return Tape(boxes, tuple(sorted(events, key=lambda event: event.at)))


def _work(chance: Random, size: Size, boxes: tuple[int, ...], span: int) -> list[Event]:
    begun = [Event(SECOND * 30 + n, "open", n, chance.randrange(1 << 16)) for n in range(len(boxes))]
    return begun + [
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


def _trips(chance: Random, size: Size, boxes: tuple[int, ...], span: int) -> list[Event]:
    """A box writes a bundle, a courier takes it to the hub and the answer home: late, twice, or never."""
    found = []
    for _ in range(chance.randint(*size.trips)):
        box, which, stick = chance.randrange(len(boxes)), chance.randrange(1 << 16), chance.randrange(STICKS)
        at = chance.randrange(span)
        found.append(Event(at, "export", box, which, stick))
        for leg in chance.choice(TRIPS):
            at += chance.choice((MINUTE, HOUR, span // 4))
            found.append(Event(at, leg, box, which, stick))
    return found


def _relays(chance: Random, span: int) -> list[Event]:
    return [Event(chance.randrange(span), chance.choice(("relay", "consume"))) for _ in range(chance.randint(0, 5))]


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
    return [Event(saved, "hub save"),
            Event(saved + when.chance.randrange(when.span), "hub back", m=when.chance.randrange(2))]


def _stick(do: str) -> Callable[[When], list[Event]]:
    def draw_one(when: When) -> list[Event]:
        return [Event(when.beside(), do, n=when.chance.randrange(1 << 16), m=when.chance.randrange(STICKS))]

    return draw_one


def _copied(when: When) -> list[Event]:
    """What lay in a drawer comes to the hub, or home, after what was written later."""
    stick, kept, box = when.chance.randrange(STICKS), when.beside(), when.box()
    late = kept + when.chance.randrange(when.span)
    return [Event(kept, "copied", m=stick), Event(late, "import", m=STICKS + stick),
            Event(late + MINUTE, "home", box, when.chance.randrange(1 << 16), STICKS + stick)]


def _tidy(when: When) -> list[Event]:
    """Right after the box has talked with the hub, or at any time."""
    at, box, which = when.beside(), when.box(), when.chance.randrange(1 << 16)
    talked = [Event(at, "talk", box, which)] if when.chance.random() < 0.7 else []
    return [*talked, Event(at + MINUTE, "tidy", box, which)]


def _shut_out(when: When) -> list[Event]:
    at, box, which = when.beside(), when.box(), when.chance.randrange(1 << 16)
    again = [Event(at + when.chance.randrange(when.span), "trust", box, which)] if when.chance.random() < 0.6 else []
    return [Event(at, "shut out", box, which), *again]


def _wipe(when: When) -> list[Event]:
    """With what was sent a moment ago, or at any time; somebody notices, or nobody does until the end."""
    at = when.beside()
    sent = [Event(at, "relay")] if when.chance.random() < 0.7 else []
    noticed = [Event(at + MINUTE, "reopen"), Event(at + HOUR, "relay")] if when.chance.random() < 0.5 else []
    return [*sent, Event(at + 1, "wipe"), *noticed]


_NEMESES = {
    "power": _power,
    "full": _full,
    "hub power": _hub_power,
    "clock": _clock,
    "back": _back,
    "clone": _clone,
    "hub back": _hub_back,
    "pulled": _stick("pulled"),
    "copied": _copied,
    "altered": _stick("altered"),
    "swapped": _stick("swapped"),
    "forged": _stick("forged"),
    "tidy": _tidy,
    "shut out": _shut_out,
    "wipe": _wipe,
}
