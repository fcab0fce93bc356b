"""What must hold: after every step what can be seen at once, and at rest everything.

The ledger of what is true is kept here, from what was seen on the disks; nobody's word is taken for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from sync import hlc
from sync.calls import Call, Reply
from sync.merge import Cell, claims
from sync.messages import EXCHANGE, Exchange, Exchanged, from_wire
from sync.ops import GENESIS, Op, encode, op_hash, unpack
from sync.simulation import oracle
from sync.simulation.ports import Held, Hub, Taken
from sync.simulation.stick import Stick

if TYPE_CHECKING:
    from sync.simulation.world import Machine


class Violation(AssertionError):
    """A promise was broken."""


class Known(msgspec.Struct):
    """What was seen of a machine's disk: the name it goes by and its ops, each as its hash and its content."""

    node: UUID
    hashes: list[bytes] = []
    contents: list[bytes] = []
    stamp: int = 0
    promised: int = 0
    """Up to which op a person was told that it is saved."""


class Checks:
    """Watches one world."""

    def __init__(self, hub: Hub, machines: Sequence[Machine], sees: Callable[[str], None]) -> None:
        self._hub = hub
        self._machines = machines
        self._sees = sees
        self._known: dict[str, Known] = {}
        self._parked: set[tuple[UUID, int]] = set()
        self._was_hub_put_back = self._was_disturbed = False
        self._shut: dict[UUID, int | None] = {}
        """Boxes that are shut out, and how far the hub held their ops then, if that is known."""
        self._held: Counter[UUID] = Counter()
        self._numbers: dict[UUID, int] = {}
        """The newest bundle of each box that the hub took in."""
        self._freed: set[str] = set()
        """Videos that boxes let go."""
        self._mourned: set[str] = set()
        """Those of them that the hub lost afterwards, with its disk."""
        self._acked: dict[bytes, bytes] = {}
        """Ops that the hub acknowledged and must hold for ever: their hashes, and what they say.

        A box that takes another name says the same again under it, in a chain with other hashes."""

    # Boxes

    def wrote(self, machine: Machine, *, promised: bool) -> None:
        """Something was done at a box."""
        known = self._of(machine)
        for op, digest in machine.box.ops(len(known.hashes)):
            seq = len(known.hashes) + 1
            _require(op.seq == seq, f"{machine.name}: op {op.seq} is where op {seq} should be")
            _require(op.prev == (known.hashes or [GENESIS])[-1], f"{machine.name}: op {seq} is not chained")
            _require(digest == op_hash(op), f"{machine.name}: op {seq} does not have its hash")
            _require(op.hlc > known.stamp, f"{machine.name}: the stamp of op {seq} runs backwards")
            known.stamp = op.hlc
            known.hashes.append(digest)
            known.contents.append(_content(op))
        if promised:
            known.promised = len(known.hashes)

    def rebooted(self, machine: Machine) -> None:
        """What was promised is there after any crash."""
        known = self._of(machine)
        if machine.box.node != known.node:  # the power went when it had just taken another name
            self._took_another_name(machine)
            return
        found, told = _read(machine), known.promised
        _require(found.hashes[:told] == known.hashes[:told], f"{machine.name} lost what it had promised")
        found.promised = told
        self._known[machine.name] = found

    def was_put_back(self, machine: Machine) -> None:
        """An old or copied disk knows what it knows; what only a newer one knew is gone with it."""
        known = self._known[machine.name] = _read(machine)
        known.promised = len(known.hashes)
        self._was_disturbed = True
        self._forget()

    def heard(self, machine: Machine) -> None:
        """A box took in a reply: what it believes must be so."""
        at = machine.box.position()
        _require(at.acked <= at.head, f"{machine.name} believes that {at.acked} of its {at.head} ops are acknowledged")
        if at.node != self._of(machine).node:
            self._took_another_name(machine)

    def visited(self, machine: Machine, stick: Stick, outcome: str) -> None:
        """Somebody came to a box with a stick."""
        if outcome == "later_bundle":
            self._sees("a box left a later bundle alone")
        _require(outcome in _AT_STICK or (stick.is_harmed and outcome in _HARMED)
                 or (self._was_disturbed and outcome == "later_bundle"),
                 f"{machine.name} cannot use a good stick: {outcome}")
        if outcome == "done":
            self._sees("a box used a stick")
        self.heard(machine)
        arrived = self._hub.blobs()
        untrue = [blob for blob, is_sent in machine.box.blobs().items() if is_sent and blob not in arrived]
        _require(not untrue or self._was_hub_put_back, f"{machine.name} believes that the hub has {untrue}")

    def tidied(self, machine: Machine) -> None:
        """A box that needed room let videos go: only those that the hub holds."""
        gone = machine.box.wanted() - machine.box.blobs().keys() - self._freed
        _require(gone <= self._hub.blobs() or self._was_hub_put_back, f"{machine.name} let go what nobody holds")
        self._freed |= gone
        if self._was_hub_put_back:  # the receipt was of before, and the box could not know
            self._mourned |= gone - self._hub.files()
        if gone:
            self._sees("a box let go of a video")

    def has_lost(self, machine: Machine) -> bool:
        """Whether there is a video of this box that nobody has any more, and nobody is to blame."""
        return not self._mourned.isdisjoint(machine.box.wanted() - machine.box.blobs().keys())

    def _took_another_name(self, machine: Machine) -> None:
        """It says under the new name what it alone has said under the old one."""
        self._sees("a box took another name")
        known, found = self._of(machine), _read(machine)
        kept = len(known.contents) - len(found.contents)
        _require(kept >= 0 and found.contents == known.contents[kept:], f"{machine.name} lost ops with its old name")
        here = {held.hash for held in self._hub.ops()}
        _require(here.issuperset(known.hashes[:kept]), f"{machine.name} left ops behind that nobody else has")
        found.promised = len(found.hashes)
        self._known[machine.name] = found

    def _of(self, machine: Machine) -> Known:
        if machine.name not in self._known:
            self._known[machine.name] = Known(machine.box.node)
        return self._known[machine.name]

    # The hub

    def answered(self, call: Call, reply: Reply) -> None:
        """The hub answered a call: what it says must be so already."""
        if call.path != EXCHANGE or reply.status != 200:
            return
        asked, answer = from_wire(call.body, Exchange), from_wire(reply.body, Exchanged)
        _require(answer.acked == self._hub.acked(asked.node), "the hub acknowledged what it has not committed")
        self._parked |= {(asked.node, each.seq) for each in answer.parked}
        self._held[asked.node] = answer.acked
        if asked.batch:
            self._acked |= {digest: _content(op) for op, digest in unpack(asked.batch) if op.seq <= answer.acked}
        if asked.node in self._hub.shut():
            self._told_a_box_that_is_shut_out(asked, answer)

    def _told_a_box_that_is_shut_out(self, asked: Exchange, answer: Exchanged) -> None:
        """What it sends is kept aside, and it is told nothing."""
        _require(answer.revoked and not answer.feed, "a box that is shut out was told something")
        if asked.batch and (since := self._shut.get(asked.node)) is not None:
            late = set(range(max(since + 1, asked.batch.first), min(asked.batch.last, answer.acked) + 1))
            _require(late <= {each.seq for each in answer.parked}, "an op of a box that is shut out was applied")
            if late:
                self._sees("an op of a box that was shut out was kept aside")

    def imported(self, stick: Stick, taken: Taken) -> None:
        """The hub took in the bundle of a box, or refused it."""
        node, answer = taken.node, taken.answer
        codes = {taken.code} - {""} if answer is None else {each.code for each in answer.refused}
        # A box takes off the stick what it believes the hub holds, or does not know itself. Where one of them was put
        # back, an old bundle may miss that.
        allowed = _REFUSED | ({"damaged"} if self._was_disturbed else set())
        _require(stick.is_harmed or codes <= allowed, f"the hub refuses a good bundle: {sorted(codes)}")
        if codes:
            self._sees("a bundle was refused")
        if answer is None:
            return
        _require((node, answer.number) not in stick.forged, "the hub took in a bundle that no box has signed")
        _require(set(answer.held) <= self._hub.blobs(), "the hub says that it holds what it does not")
        _require(answer.acked == self._hub.acked(node), "the hub acknowledged on a stick what it has not committed")
        self._sees("a bundle was imported")
        if answer.acked > self._held[node]:
            self._sees("a bundle overtook the line")
        newest = self._numbers.get(node, 0)
        if answer.number <= newest:
            self._sees("a bundle was imported twice" if answer.number == newest else "a bundle came after a newer one")
        self._numbers[node] = max(newest, answer.number)
        self._held[node] = answer.acked

    def shut_out(self, node: UUID) -> None:
        """A person is about to shut a box out."""
        self._shut.setdefault(node, self._hub.acked(node))

    def trusted(self, node: UUID) -> None:
        """A box is not shut out, or not any more."""
        self._shut.pop(node, None)

    def hub_was_put_back(self) -> None:
        self._was_hub_put_back = self._was_disturbed = True
        self._mourned |= self._freed - self._hub.files()
        shut = self._hub.shut()
        self._shut = dict.fromkeys(shut)
        self._held = Counter({node: self._hub.acked(node) for node in self._held})
        self._forget()

    def _forget(self) -> None:
        """A disk was put back: what is on none any more is owed by nobody."""
        here = {digest for known in self._known.values() for digest in known.hashes}
        here |= {held.hash for held in self._hub.ops()}
        self._acked = {digest: content for digest, content in self._acked.items() if digest in here}

    # At rest

    def at_rest(self, now_ms: int) -> None:
        """All faults are over, everybody has talked, and the hub's clock says ``now_ms``."""
        held = self._hub.ops()
        ahead = [each.op.seq for each in held if each.stamp > hlc.pack(now_ms + hlc.MAX_LEAD_MS + 1)]
        _require(not ahead, f"ops {ahead} are stamped with a time that nobody could know")
        _require(self._hub.divergences() == 0, "a box held other records than it had been told")
        self._check_chains(held)
        self._check_records(held)
        self._check_events()
        for machine in self._machines:
            self._check_box(machine, {each.hash for each in held})

    def _check_chains(self, held: Sequence[Held]) -> None:
        last: dict[UUID, Held] = {}
        shut = self._hub.shut()
        found = {each.hash for each in held}
        for each in held:
            before = last.get(each.op.node)
            name = f"op {each.op.seq} of {each.op.node}"
            _require(each.op.seq == (before.op.seq + 1 if before else 1), f"the hub has a gap before {name}")
            _require(each.op.prev == (before.hash if before else GENESIS), f"{name} is not chained at the hub")
            _require(op_hash(each.op) == each.hash, f"{name} was altered at the hub")
            _require(before is None or each.stamp > before.stamp, f"the stamp of {name} runs backwards")
            _require(self._may_stand(each, shut), f"{name} is parked: {each.parked}")
            last[each.op.node] = each
        if parked := self._parked:
            self._sees("an op was parked")
            if not parked <= {(each.op.node, each.op.seq) for each in held if each.parked}:
                self._sees("an op was parked and applied later")
        said = {_content(each.op) for each in held}
        for machine in self._machines:
            if self._was_hub_put_back and (machine.stopped == "unknown_node" or machine.error == "revoked"):
                said |= set(self._of(machine).contents)  # still there, until a person enrols or trusts the box again
        missing = [digest for digest, content in self._acked.items() if digest not in found and content not in said]
        _require(not missing, f"the hub lost {len(missing)} ops that it had acknowledged")

    def _may_stand(self, each: Held, shut: set[UUID]) -> bool:
        """Whether an op is parked exactly when it should be."""
        if "nonsense" in each.op.patch:
            return each.parked is not None
        if each.op.node in shut:
            since = self._shut.get(each.op.node)
            return each.parked is not None or since is None or each.op.seq <= since
        # What rests on an op of a box that is shut out waits with it.
        return each.parked is None or (bool(shut) and each.parked.startswith("bad_op"))

    def _check_events(self) -> None:
        """Each video of which record and bytes are there has one event, and each event has had its effect once."""
        arrived = self._hub.blobs()
        videos = [key for (entity, key), record in self._hub.records().items()
                  if entity == "video" and record["blob_id"].value in arrived]
        events = self._hub.events()
        _require(len(events) == len(videos), f"{len(videos)} videos have arrived, and {len(events)} events tell of it")
        odd = {count for count in events.values() if count != 1}
        _require(not odd, f"events have had their effect {sorted(odd)} times")

    def _check_records(self, held: Iterable[Held]) -> None:
        writes: dict[tuple[str, UUID, str], list[oracle.Write]] = defaultdict(list)
        for each in held:
            if each.parked is None:
                for op in (each.op, *claims(each.op)):
                    for field, value in op.patch.items():
                        writes[op.entity, op.key, field].append(oracle.Write(each.stamp, op.node, encode(value)))
        expected = {name: oracle.field(name[0], name[2], these) for name, these in writes.items()}
        found = {
            (entity, key, field): _shown(cell)
            for (entity, key), record in self._hub.records().items() for field, cell in record.items()
        }
        for name in expected.keys() | found.keys():
            _require(expected.get(name) == found.get(name),
                     f"{name[0]}.{name[2]} is {found.get(name)}, the oracle says {expected.get(name)}")
        contested = {name for name, shown in expected.items() if shown.others}
        if contested:
            self._sees("two writes of one field were found")
        _require(contested <= self._hub.conflicts(), "two writes of one field wait for nobody")

    def _check_box(self, machine: Machine, held: set[bytes]) -> None:
        box = machine.box
        at = box.position()
        if machine.stopped == "unknown_node" and self._was_hub_put_back:
            self._sees("a hub forgot a box")  # a person has to enrol it again; it keeps what it has
            return
        _require(machine.stopped is None, f"{machine.name} stopped with {machine.stopped}")
        is_shut = at.node in self._hub.shut()
        if is_shut and (self._was_disturbed or machine.error != "revoked"):
            return  # two boxes of one name, for example, of which the hub will not hear
        _require(at.acked == at.head, f"{machine.name} has {at.acked} of {at.head} ops acknowledged")
        missing = [seq for seq, digest in enumerate(self._of(machine).hashes, 1) if digest not in held]
        _require(not missing, f"ops {missing} of {machine.name} never reached the hub")
        if is_shut:
            return
        here, arrived = box.blobs(), self._hub.blobs()
        gone = box.wanted() - here.keys()
        _require(gone <= self._freed, f"{machine.name} lost a video")
        _require(gone - self._mourned <= arrived, f"{machine.name} let a video go, and the hub does not have it")
        for blob, is_sent in here.items():
            _require(is_sent, f"{machine.name} never sent the blob {blob[:8]}")
            _require(blob in arrived, f"{machine.name} sent the blob {blob[:8]}, which never arrived")
        told = {(row.entity, row.key): row.fields for row in self._hub.feed(machine.site) if row.fields is not None}
        fed = box.fed()
        differ = [name for name in told.keys() | fed.keys() if told.get(name) != fed.get(name)]
        _require(not differ, f"{machine.name} was told something else of {sorted(differ)[:1]}")


_AT_STICK = {"done", "power cut", "disk full", "stick_gone", "no_bundle", "fork"}
_HARMED = {"damaged", "bad_signature", "foreign_bundle", "bad_version", "bad_input", "too_large"}
_REFUSED = {"gap", "fork", "revoked", "unknown_node", "no_bundle"}
"""Why the hub may refuse what nobody has meddled with: an old bundle or half of one, another box of the name, a box
that is shut out."""


def _read(machine: Machine) -> Known:
    ops = machine.box.ops(0)
    stamp = max((op.hlc for op, _ in ops), default=0)
    return Known(machine.box.node, [digest for _, digest in ops], [_content(op) for op, _ in ops], stamp)


def _content(op: Op) -> bytes:
    """What an op says, whoever says it and at which place."""
    return encode([op.hlc, op.entity, op.key, op.patch, op.actor])


def _shown(cell: Cell) -> oracle.Shown:
    others = frozenset(encode(rival.value) for rival in cell.rivals) - {encode(cell.value)}
    return oracle.Shown(encode(cell.value), cell.hlc, cell.node, others)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Violation(otherwise)
