"""A world: boxes, a hub, the lines between them, and the tape that says what befalls them. Single-threaded, no clock.

| event | what happens |
|---|---|
| `open`, `film`, `judge`, `note` | an executor, or the box itself, records something |
| `spoil` | a faulty box writes an op that nobody can apply |
| `tell`, `gone` | a person at the hub changes an executor, or removes one |
| `allot`, `correct`, `cancel` | a person at the hub gives a share a place, corrects its name, or calls it off |
| `redrive` | a person at the hub has parked ops tried again |
| `talk` | the box's agent runs its session; `line` says what befalls its calls |
| `power`, `hub power` | the n-th transaction from now ends with the power cut, before or after its commit |
| `full` | the next n transactions of the box find no room |
| `clock` | the box's wall clock is n ms off from now on |
| `save`, `back` | a copy of the box's disk is made; the disk is put back to the latest copy |
| `clone` | a second box is started from a copy of the disk |
| `hub save`, `hub back` | the same for the hub; its files go back, too, where m is 0 |
| `export`, `import`, `home` | a box writes on stick m; the hub takes in what is on it; a box takes in the answer |
| `copied` | somebody copies stick m, which is in use, to one that lies in a drawer |
| `pulled` | stick m is pulled out at the n-th access from now |
| `altered`, `swapped`, `forged` | a byte changes, two boxes' folders change places, a stranger signs a bundle |
| `tidy` | the box needs room, and lets go what it may |
| `shut out`, `trust` | a person at the hub trusts a box no longer, or again |
| `relay`, `consume` | events go to the broker; the consumer takes what is there |
| `wipe`, `reopen` | the broker loses everything; a person has the unfinished sent again |
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

import msgspec

from shared.clock import Reading, from_ms
from shared.crypto import SigningKey
from shared.errors import QurbaniError
from sync.calls import Call, Reply, Steps
from sync.messages import BLOBS, EXCHANGE, Exchanged, from_wire
from sync.session import CHECK_MS
from sync.simulation.checks import Checks, Violation
from sync.simulation.ports import Box, Maker
from sync.simulation.power import DiskFull, PowerCut
from sync.simulation.stick import Stick
from sync.simulation.tape import MINUTE, SECOND, STICKS, Event, Fate, Tape

START_MS = 1_780_000_000_000
TIMEOUT_MS = 20 * SECOND
SETTLE_MS = 10 * MINUTE
"""How soon everything must have come to rest after the last fault."""
ROUNDS = 3
"""And after how many sessions of each box."""

_GOOD = Fate(40)


class _Clock:
    """The clocks of one machine: the wall clock may be off, the monotonic one counts from the boot."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.off_ms = 0
        self.boots = 0
        self._booted_ms = 0

    def reboot(self) -> None:
        self.boots += 1
        self._booted_ms = self._world.now_ms

    def read(self) -> Reading:
        wall_ms = max(0, START_MS + self._world.now_ms + self.off_ms)
        return Reading(wall_ms, self._world.now_ms - self._booted_ms, f"boot-{self.boots}")

    def now(self) -> datetime:
        return from_ms(self.read().wall_ms)


class Talk(msgspec.Struct):
    """A session under way, and the fates of its next calls."""

    steps: Steps[dict[str, QurbaniError]]
    fates: Iterator[Fate]


class Machine:
    """A box, what it is doing, and what became of it."""

    def __init__(self, name: str, site: int, box: Box, clock: _Clock) -> None:
        self.name = name
        self.site = site
        self.box = box
        self.clock = clock
        self.talk: Talk | None = None
        self.stopped: str | None = None
        """The error after which the box waits for a person."""
        self.error: str | None = None
        """What its last session ended with."""
        self.image: Any = None


class World:
    """Plays one tape. ``lines`` of the trace are kept only where somebody wants to read them."""

    def __init__(self, tape: Tape, maker: Maker, lines: list[str] | None = None) -> None:
        self.now_ms = 0
        self.seen: Counter[str] = Counter()
        self._tape = tape
        self._maker = maker
        self._lines = lines
        self._trace = hashlib.sha256()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self.hub = maker.hub(_Clock(self))
        self._hub_image: Any = None
        self._sticks = [Stick() for _ in range(2 * STICKS)]
        self._stranger = SigningKey(bytes(32))
        self.machines: list[Machine] = []
        self._places = [[self._machine(number, site)] for number, site in enumerate(tape.boxes)]
        self.checks = Checks(self.hub, self.machines, self._sees)

    def play(self) -> str:
        """Play the tape, let everything come to rest, and check. The hash of the trace; raises ``Violation``."""
        try:
            for event in self._tape.events:
                self._at(event.at, lambda event=event: self._do(event))  # type: ignore[misc]
            self._run()
            self._settle()
            self.checks.at_rest(START_MS + self.now_ms)
            return self._trace.hexdigest()
        finally:
            for machine in self.machines:
                machine.box.close()
            self.hub.close()

    # Events

    def _do(self, event: Event) -> None:
        if event.do in _AT_HUB:
            self._do_at_hub(event)
            return
        place = self._places[event.box % len(self._places)]
        machine = place[event.n % len(place)]
        match event.do:
            case "talk":
                self._begin_talk(machine, event.line)
            case "power" if event.n == 0:
                self._sees("the power went")
                self._reboot(machine)
            case "power":
                machine.box.power.cut(event.n - 1, is_after=bool(event.m))
            case "full":
                machine.box.power.fill(event.n)
            case "clock":
                machine.clock.off_ms = event.n
                self._sees("a clock jumped")
            case "save":
                machine.image = machine.box.save()
            case "back":
                self._put_back(machine)
            case "clone":
                self._clone(place, machine)
            case "shut out" | "trust":
                self._judge(machine, event.do)
            case "export" | "home":
                self._at_stick(machine, event)
            case "tidy":
                self._attempt(machine, "tidy", machine.box.tidy)
                self.checks.tidied(machine)
            case _:
                self._work(machine, event)

    def _work(self, machine: Machine, event: Event) -> None:
        box = machine.box
        work = partial(box.film, event.n, event.m) if event.do == "film" else partial(getattr(box, event.do), event.n)
        outcome = self._attempt(machine, event.do, work)
        if event.do == "open" and outcome == "conflict":
            self._sees("an animal was opened twice")
        self.checks.wrote(machine, promised=outcome == "done")

    def _attempt(self, machine: Machine, do: str, work: Callable[[], Any]) -> str:
        """Do something at a box; what came of it."""
        try:
            outcome = "nothing to do" if work() is False else "done"
        except QurbaniError as error:
            outcome = error.code
        except DiskFull:
            outcome = "disk full"
            self._sees("a disk was full")
        except PowerCut:
            outcome = "power cut"
            self._sees("the power went while somebody was at the box")
            self._reboot(machine)
        self._say(machine.name, do, outcome)
        return outcome

    def _at_stick(self, machine: Machine, event: Event) -> None:
        stick, box = self._sticks[event.m], machine.box
        if event.do == "export":
            outcome = self._attempt(machine, "export", lambda: box.export(stick))
        else:
            outcome = self._attempt(machine, "home", lambda: box.take_back(stick))
        self.checks.visited(machine, stick, outcome)
        self._put_in(stick)

    def _put_in(self, stick: Stick) -> None:
        """Whoever finds that the stick was out puts it in for the next one."""
        if stick.is_out:
            self._sees("a stick was pulled out")
            stick.pull(None)

    def _judge(self, machine: Machine, do: str) -> None:
        node = machine.box.node
        with self._hub_power():
            if do == "shut out":
                self.checks.shut_out(node)
                self.hub.shut_out(node)
                self._sees("a box was shut out")
            else:
                self.hub.trust(node)
        if node not in self.hub.shut():
            self.checks.trusted(node)
            if do == "trust":
                self._sees("a box was trusted again")
        self._say(machine.name, do)

    @contextmanager
    def _hub_power(self) -> Iterator[None]:
        try:
            yield
        except PowerCut:
            self._sees("the hub's power went")

    def _do_at_hub(self, event: Event) -> None:
        hub, n, stick = self.hub, event.n % 3, self._sticks[event.m % len(self._sticks)]
        with self._hub_power():
            match event.do:
                case "tell":
                    hub.tell(event.m, "executor", n, {"name": f"name {event.n}", "pin_hash": "x", "language": "ar"})
                case "allot" | "correct":
                    what = {"animal_id": "", "reference": f"{n}", "name": f"name {event.n}", "language": "ar"}
                    hub.tell(event.m, "share", n, {**what, "spellings": [f"spelling {event.n}"]})
                case "gone" | "cancel":
                    hub.tell(event.m, "executor" if event.do == "gone" else "share", n, None)
                    self._sees("a tombstone was told")
                case "redrive":
                    hub.redrive()
                case "hub power":
                    hub.power.cut(event.n, is_after=bool(event.m))
                case "hub save":
                    self._hub_image = hub.save()
                case "hub back" if self._hub_image is not None:
                    hub.restore(self._hub_image, files=not event.m)
                    self.checks.hub_was_put_back()
                    self._sees("the hub was put back")
                case "import":
                    self._import(stick)
                case "copied":
                    self._sticks[STICKS + event.m] = stick.copy()
                case "pulled":
                    stick.pull(event.n % 12)
                case "altered" if stick.alter(event.n):
                    self._sees("a stick was altered")
                case "swapped" if stick.swap():
                    self._sees("folders on a stick were swapped")
                case "forged" if stick.forge(self._stranger):
                    self._sees("a bundle was forged")
                case "relay":
                    hub.relay()
                case "consume" if hub.consume():
                    self._sees("an event came again")
                case "wipe":
                    hub.wipe()
                    self._sees("the broker was wiped")
                case "reopen":
                    hub.reopen()
        self._say("hub", event.do)

    def _import(self, stick: Stick) -> None:
        try:
            for taken in self.hub.take(stick):
                self.checks.imported(stick, taken)
                answer = taken.answer
                self._say("hub", "imports", taken.code if answer is None else f"{answer.acked} {len(answer.held)}")
        except QurbaniError as error:
            self._say("hub", "imports", error.code)
        finally:
            self._put_in(stick)

    def _put_back(self, machine: Machine) -> None:
        if machine.image is None:
            return
        machine.box.restore(machine.image)
        self._sees("a box was put back")
        self.checks.was_put_back(machine)
        self._reboot(machine)

    def _clone(self, place: list[Machine], machine: Machine) -> None:
        clock = _Clock(self)
        box = self._maker.box(self.hub, len(self.machines), machine.site, clock)
        twin = Machine(f"box {len(self.machines)}, copied from {machine.name}", machine.site, box, clock)
        box.restore(machine.box.save())
        self.machines.append(twin)
        place.append(twin)
        self._sees("a box was cloned")
        self.checks.was_put_back(twin)
        self._reboot(twin)

    def _reboot(self, machine: Machine) -> None:
        machine.talk, machine.stopped = None, None
        machine.clock.reboot()
        machine.box.power.mend()
        machine.box.boot()
        self.checks.rebooted(machine)
        self._say(machine.name, "boots")

    def _restart(self, machine: Machine) -> None:
        """The supervisor starts the programs again, until they find room."""
        with suppress(PowerCut):
            while True:
                with suppress(DiskFull):
                    return machine.box.boot()
        return self._reboot(machine)

    # Conversations

    def _begin_talk(self, machine: Machine, line: Sequence[Fate]) -> None:
        if machine.talk is None and machine.stopped is None:
            talk = machine.talk = Talk(machine.box.session().run(), iter(line))
            self._proceed(machine, talk, lambda: next(talk.steps))

    def _proceed(self, machine: Machine, talk: Talk, step: Callable[[], Call]) -> None:
        """Let the session take in a reply and make its next call."""
        if machine.talk is not talk:
            return
        try:
            call = step()
        except StopIteration as end:
            self._end_talk(machine, ",".join(sorted({error.code for error in end.value.values()})) or None)
        except QurbaniError as error:
            self._sees(f"a session ended with {error.code}")
            if not error.retry and error.code not in ("not_signed_in", "revoked"):
                machine.stopped = error.code
            self._end_talk(machine, error.code)
        except DiskFull:
            self._sees("a disk was full in a session")
            self._end_talk(machine, "disk full")
            self._restart(machine)
        except PowerCut:
            self._sees("the power went in a session")
            self._reboot(machine)
        else:
            self._carry(machine, talk, call)
        self.checks.heard(machine)

    def _end_talk(self, machine: Machine, error: str | None) -> None:
        machine.talk, machine.error = None, error
        self._say(machine.name, "ends its session", error or "well")

    def _carry(self, machine: Machine, talk: Talk, call: Call) -> None:
        """Take a call to the hub and the reply back, as its fate wants."""
        fate = next(talk.fates, _GOOD)
        if fate.fault:
            self._sees(f"a call was {_SEEN.get(fate.fault, fate.fault)}")
        there = fate.ms // 2
        match fate.fault:
            case "lost":
                self._after(TIMEOUT_MS, lambda: self._no_answer(machine, talk))
            case "cut":
                self._after(there, lambda: self.hub_takes_part(call, fate.n))
                self._after(fate.ms, lambda: self._no_answer(machine, talk))
            case "late":
                self._after(TIMEOUT_MS, lambda: self._no_answer(machine, talk))
                self._after(TIMEOUT_MS + fate.n, lambda: self._ask(call, lambda reply: None))
            case "reply lost":
                self._after(there, lambda: self._ask(call, lambda reply: None))
                self._after(TIMEOUT_MS, lambda: self._no_answer(machine, talk))
            case "sign-in page":
                page = Reply(200, {"content-type": "text/html"}, b"<html>Welcome to our network")
                self._after(fate.ms, lambda: self._reply(machine, talk, page))
            case "busy":
                self._after(fate.ms, lambda: self._reply(machine, talk, _BUSY))
            case _:
                if fate.fault == "twice":
                    self._after(there + fate.n, lambda: self._ask(call, lambda reply: None))
                self._after(there, lambda: self._ask(
                    call, lambda reply: self._after(fate.ms - there, lambda: self._reply(machine, talk, reply))))

    def _ask(self, call: Call, back: Callable[[Reply | None], None]) -> None:
        """Let the hub answer now. Without an answer the caller gives up in time."""
        try:
            reply = self.hub.answer(call)
        except PowerCut:
            self._sees("the hub's power went in a call")
            self._say("hub", call.method, _path(call), "power cut")
            self._after(TIMEOUT_MS, lambda: back(None))
            return
        self._say("hub", call.method, _path(call), str(reply.status), _told(call, reply))
        if reply.status >= 400:
            self._sees(f"the hub answered {msgspec.json.decode(reply.body)['code']}")
        self.checks.answered(call, reply)
        back(reply)

    def hub_takes_part(self, call: Call, n: int) -> None:
        try:
            self.hub.arrive_in_part(call, len(call.body) * (n % 1_000) // 1_000)
        except (PowerCut, QurbaniError):
            self._sees("the hub's power went in a call")

    def _reply(self, machine: Machine, talk: Talk, reply: Reply | None) -> None:
        if reply is None:
            self._no_answer(machine, talk)
        else:
            self._proceed(machine, talk, lambda: talk.steps.send(reply))

    def _no_answer(self, machine: Machine, talk: Talk) -> None:
        if machine.talk is talk:
            talk.steps.close()
            self._end_talk(machine, "no answer")

    # Rest

    def _settle(self) -> None:
        """No more faults: whoever can must come to rest soon, in few sessions.

        A box compares everything with the hub now and then; what only that finds, it has found by then.
        """
        self.now_ms += CHECK_MS
        deadline = self.now_ms + SETTLE_MS
        self.hub.power.mend()
        for machine in self.machines:
            machine.box.power.mend()
        self.hub.reopen()
        for _ in range(ROUNDS):
            for machine in self.machines:
                self._begin_talk(machine, ())
            self._run()
            self.hub.redrive()
            self.hub.relay()
            self.hub.consume()
            if all(self._rests(machine) for machine in self.machines):
                break
        if self.now_ms > deadline:
            raise Violation(f"it took {self.now_ms - deadline + SETTLE_MS} ms to come to rest")
        for machine in self.machines:
            if machine.stopped is None and machine.error and not self._has_reason(machine):
                raise Violation(f"{machine.name} does not come to rest: {machine.error}")

    def _rests(self, machine: Machine) -> bool:
        if machine.stopped is not None:
            return True
        at, told = machine.box.position(), max(row.cursor for row in self.hub.feed(machine.site))
        if machine.error == "revoked":
            return self._has_reason(machine)
        is_well = machine.error is None or self._has_reason(machine)
        return is_well and at.acked == at.head and at.cursor == told

    def _has_reason(self, machine: Machine) -> bool:
        """Whether a box rightly does not get on: it is shut out, or nobody has a video any more.

        A hub lost the video together with its disk, after the box had let it go for a receipt.
        """
        if machine.error == "revoked":
            return machine.box.node in self.hub.shut()
        return machine.error == "damaged" and self.checks.has_lost(machine)

    # Time

    def _at(self, ms: int, what: Callable[[], None]) -> None:
        heappush(self._due, (ms, next(self._order), what))

    def _after(self, ms: int, what: Callable[[], None]) -> None:
        self._at(self.now_ms + ms, what)

    def _run(self) -> None:
        while self._due:
            ms, _, what = heappop(self._due)
            self.now_ms = max(self.now_ms, ms)
            what()

    # What was seen

    def _machine(self, number: int, site: int) -> Machine:
        clock = _Clock(self)
        machine = Machine(f"box {number}", site, self._maker.box(self.hub, number, site, clock), clock)
        self.machines.append(machine)
        return machine

    def _say(self, *words: str) -> None:
        line = f"{self.now_ms} {' '.join(words)}"
        self._trace.update(line.encode())
        if self._lines is not None:
            self._lines.append(line)

    def _sees(self, state: str) -> None:
        self.seen[state] += 1


STATES = (
    "a box let go of a video",
    "a box was shut out",
    "a box was trusted again",
    "a bundle came after a newer one",
    "a bundle overtook the line",
    "a bundle was forged",
    "a bundle was imported",
    "a bundle was imported twice",
    "a bundle was refused",
    "a stick was altered",
    "a stick was pulled out",
    "an event came again",
    "an op of a box that was shut out was kept aside",
    "folders on a stick were swapped",
    "the broker was wiped",
    "a box used a stick",
    "a call was answered by a sign-in page",
    "a call was cut in its middle",
    "a call was delivered after the box gave up",
    "a call was delivered twice",
    "a call was left without its reply",
    "a call was lost",
    "a call was turned away",
    "a box took another name",
    "a box was cloned",
    "a box was put back",
    "a clock jumped",
    "a disk was full",
    "a disk was full in a session",
    "a session ended with not_the_hub",
    "a session ended with unavailable",
    "a tombstone was told",
    "an animal was opened twice",
    "an op was parked",
    "an op was parked and applied later",
    "the hub answered clock_skew",
    "the hub answered fork",
    "the hub answered gap",
    "the hub answered wrong_offset",
    "the hub was put back",
    "the hub's power went",
    "the hub's power went in a call",
    "the power went",
    "the power went in a session",
    "the power went while somebody was at the box",
    "two writes of one field were found",
)
"""The states of interest. A run that never meets one of them has not tried what it stands for."""

_AT_HUB = {
    "tell", "gone", "allot", "correct", "cancel", "redrive", "hub power", "hub save", "hub back", "import", "copied",
    "pulled", "altered", "swapped", "forged", "relay", "consume", "wipe", "reopen",
}  # fmt: skip
_SEEN = {"twice": "delivered twice", "late": "delivered after the box gave up", "cut": "cut in its middle",
         "sign-in page": "answered by a sign-in page", "busy": "turned away", "reply lost": "left without its reply"}
_BUSY = Reply(503, {"content-type": "application/problem+json", "retry-after": "5"},
              msgspec.json.encode(QurbaniError("unavailable", retry_after=5).problem()))


def _path(call: Call) -> str:
    return f"{BLOBS}/…" if call.path.startswith(f"{BLOBS}/") else call.path


def _told(call: Call, reply: Reply) -> str:
    """What of a reply goes into the trace: what must not differ from one run to the next."""
    if reply.status >= 400:
        return str(msgspec.json.decode(reply.body)["code"])
    if call.path == EXCHANGE:
        answer = from_wire(reply.body, Exchanged)
        return f"acked {answer.acked} cursor {answer.cursor} parked {[each.seq for each in answer.parked]}"
    return reply.headers.get("upload-offset", "")
