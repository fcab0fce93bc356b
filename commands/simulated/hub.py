"""The hub in memory, from the protocol's own core (:mod:`sync.hub`, ``merge``, ``feed``, ``digest``, ``tokens``, ...).

A stand-in for ``cloud/apply`` around that core: it stores in dictionaries where the other has SQL, and answers some
twenty times as fast. The same tapes give the same traces against either (``tests/unit/sync/test_simulation.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from cloud.platform.keys import Keys
from shared import sealed
from shared.clock import Clock
from shared.crypto import SealKey, VerifyKey
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from shared.problems import MEDIA_TYPE as PROBLEM
from shared.tus.wire import read_checksum, read_metadata, read_number
from sync import bundle, digest, feed, hub, merge, receipts, tokens
from sync.bundle import Carried, Receiver, Sender
from sync.calls import Call, Reply
from sync.merge import Cell
from sync.messages import (
    BLOBS,
    DIGEST,
    EXCHANGE,
    MEDIA_TYPE,
    RENEW,
    TOKEN,
    Change,
    Compare,
    Compared,
    Enrolled,
    Exchange,
    Exchanged,
    Parked,
    Renew,
    from_wire,
    to_wire,
)
from sync.ops import GENESIS, Op
from sync.simulation.ports import Held, Name, Taken
from sync.simulation.power import Power
from sync.simulation.stick import TO_BOX, TO_HUB, Stick

KEYS = Keys(bytes(32))
TOKEN_LIFE_S = 600


class Site(msgspec.Struct, frozen=True):
    id: UUID
    animals: tuple[UUID, ...]


SITES = tuple(
    Site(UUID(int=0x517E << 64 | site), tuple(UUID(int=0xA << 96 | site << 64 | n) for n in range(4)))
    for site in range(2)
)


def first_news(number: int) -> list[tuple[str, UUID, dict[str, Any] | None]]:
    """What a site is told before a world begins."""
    site = SITES[number]
    news: list[tuple[str, UUID, dict[str, Any] | None]] = [
        ("site", site.id, {"name": f"site {number}", "timezone": "UTC", "languages": ["ar"]})]
    for tag, animal in enumerate(site.animals):
        news.append(("animal", animal, {"site_id": str(site.id), "tag": str(tag), "species": "sheep", "pen": "1"}))
    return news


class Door:
    """What both hubs share: a tus server of a few lines, in place of :mod:`shared.tus.server`, which needs files and
    threads, and the table on which sticks are laid."""

    power: Power

    def __init__(self) -> None:
        self.uploads: dict[str, bytes] = {}
        self.lengths: dict[str, int] = {}

    def who(self, call: Call) -> UUID:
        """The box that calls. Raises ``not_signed_in`` or ``clock_skew``."""
        raise NotImplementedError

    def arrived(self, blob_id: str, size: int, owner: UUID) -> None:
        """A blob is here, whole and checked: tell whom it concerns, and give the receipt."""
        raise NotImplementedError

    def keys_of(self, node: UUID) -> tuple[VerifyKey, SealKey]:
        """The public keys of a box. Raises ``unknown_node``."""
        raise NotImplementedError

    def expect_trusted(self, node: UUID) -> None:
        """Raises ``revoked`` where a box was shut out."""
        raise NotImplementedError

    def route(self, call: Call) -> Reply:
        raise NotImplementedError

    def exchange(self, message: Exchange) -> Exchanged:
        """As over the wire, committed when it returns."""
        raise NotImplementedError

    # Blobs

    def answer(self, call: Call) -> Reply:
        try:
            if call.path == BLOBS:
                return self._create(call)
            return self._append(call) if call.path.startswith(f"{BLOBS}/") else self.route(call)
        except QurbaniError as error:
            return Reply(error.kind.status, {"content-type": PROBLEM}, msgspec.json.encode(error.problem()))

    def _create(self, call: Call) -> Reply:
        owner, blob_id = self.who(call), read_metadata(call.headers["upload-metadata"])["id"]
        self.expect_trusted(owner)
        self.lengths[blob_id] = read_number("Upload-Length", call.headers["upload-length"]) or 0
        self.uploads.setdefault(blob_id, b"")
        self._look(blob_id, owner)
        return self._stands(201, blob_id, {"location": f"{BLOBS}/{blob_id}"})

    def _append(self, call: Call) -> Reply:
        owner, blob_id = self.who(call), call.path.removeprefix(f"{BLOBS}/")
        self.expect_trusted(owner)
        if blob_id not in self.uploads:
            raise QurbaniError("not_found")
        if call.method == "PATCH":
            if int(call.headers["upload-offset"]) != len(self.uploads[blob_id]):
                raise QurbaniError("wrong_offset", offset=len(self.uploads[blob_id]))
            checksum = read_checksum(call.headers["upload-checksum"])
            if checksum is None or hashlib.sha256(call.body).digest() != checksum.digest:
                raise QurbaniError("checksum_mismatch")
            self.uploads[blob_id] += call.body
            self._look(blob_id, owner)
        return self._stands(204, blob_id, {})

    def arrive_in_part(self, call: Call, size: int) -> None:
        blob_id = call.path.removeprefix(f"{BLOBS}/")
        known = self.uploads.get(blob_id)
        if call.method == "PATCH" and known is not None and int(call.headers["upload-offset"]) == len(known):
            self.uploads[blob_id] += call.body[:size]

    def files(self) -> set[str]:
        return {id for id, content in self.uploads.items() if len(content) == self.lengths[id]}

    def _look(self, blob_id: str, owner: UUID) -> None:
        """The whole is checked and told of before the last byte is acknowledged; again after a crash between."""
        content = self.uploads[blob_id]
        if len(content) != self.lengths[blob_id]:
            return
        if hashlib.sha256(content).hexdigest() != blob_id:
            self.uploads[blob_id] = b""
            raise QurbaniError("checksum_mismatch")
        self.arrived(blob_id, len(content), owner)

    def _stands(self, status: int, blob_id: str, headers: dict[str, str]) -> Reply:
        return Reply(status, {"tus-resumable": "1.0.0", "upload-offset": str(len(self.uploads[blob_id])), **headers})

    # Sticks

    def take(self, stick: Stick) -> list[Taken]:
        """As :mod:`cloud.apply.sticks` does it."""
        return [self._take(stick, node) for node in stick.boxes()]

    def _take(self, stick: Stick, node: UUID) -> Taken:
        try:
            sender, to = self.keys_of(node)
            receiver = Receiver(node, sender, KEYS.unseal.public, partial(sealed.unseal, key=KEYS.unseal))
            received = bundle.receive(receiver, stick.folder(node, TO_HUB), _Table(self, node))
            seal = partial(sealed.seal, recipients=[to])
            bundle.answer(Sender(node, KEYS.sign, to, seal), received, stick.folder(node, TO_BOX))
        except QurbaniError as error:
            if error.retry:
                raise
            return Taken(node, None, error.code)
        return Taken(node, received.answer)


class _Table:
    """A :class:`sync.bundle.Hub`."""

    def __init__(self, door: Door, node: UUID) -> None:
        self._door = door
        self._node = node
        self.exchange = door.exchange

    def store(self, blob: Carried, pieces: Callable[[int], Iterator[bytes]]) -> None:
        self._door.expect_trusted(self._node)
        if len(self._door.uploads.get(blob.blob_id, b"")) != blob.size:
            content = b"".join(pieces(0))
            if (hashlib.sha256(content).hexdigest(), len(content)) != (blob.blob_id, blob.size):
                raise QurbaniError("damaged")
            self._door.uploads[blob.blob_id], self._door.lengths[blob.blob_id] = content, blob.size
        self._door.arrived(blob.blob_id, blob.size, self._node)


class Feed(msgspec.Struct):
    """The feed of one site."""

    cursor: int = 0
    rows: dict[Name, Change] = {}
    marks: dict[int, bytes] = {}

    def copy(self) -> Feed:
        return Feed(self.cursor, dict(self.rows), dict(self.marks))

    def records(self) -> dict[Name, Change]:
        return {name: row for name, row in self.rows.items() if row.fields is not None}

    def is_at(self, cursor: int, mark: bytes) -> bool:
        return mark == (self.marks.get(cursor) if cursor else b"")


class Box(msgspec.Struct, frozen=True):
    """A box as the hub knows it, and the ops of it that the hub holds."""

    site: int
    key: VerifyKey
    seal: SealKey
    ops: tuple[Held, ...] = ()
    revoked: bool = False

    @property
    def hash(self) -> bytes:
        return self.hash_at(len(self.ops))

    def hash_at(self, seq: int) -> bytes:
        return (self.ops[seq - 1].hash if seq <= len(self.ops) else b"") if seq else GENESIS


class Books(msgspec.Struct):
    """All that the hub has to remember. Every value is immutable, so a copy is as deep as its dictionaries."""

    boxes: dict[UUID, Box] = {}
    heirs: dict[bytes, UUID] = {}
    proofs: set[UUID] = set()
    records: dict[Name, dict[str, Cell]] = {}
    sites: dict[Name, int] = {}
    conflicts: set[tuple[str, UUID, str]] = set()
    feeds: list[Feed] = []
    blobs: set[str] = set()
    outbox: dict[UUID, bool] = {}
    """The events, and whether each was sent."""
    told: dict[UUID, UUID] = {}
    """Of which video each event is."""
    effects: tuple[UUID, ...] = ()
    """The events whose effect is committed; each is remembered with it."""

    def copy(self) -> Books:
        return Books(
            dict(self.boxes), dict(self.heirs), set(self.proofs), dict(self.records), dict(self.sites),
            set(self.conflicts), [each.copy() for each in self.feeds], set(self.blobs), dict(self.outbox),
            dict(self.told), self.effects,
        )  # fmt: skip


class CoreHub(Door):
    """A :class:`sync.simulation.ports.Hub`. A transaction works on a copy of the books."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.power = Power()
        self._clock = clock
        self._drawn = self._divergences = 0
        self._tokens: dict[str, tuple[UUID, VerifyKey, int]] = {}
        self._broker: list[UUID] = []
        self._books = Books(feeds=[Feed() for _ in SITES])
        for number in range(len(SITES)):
            for news in first_news(number):
                self._tell(self._books, number, *news)
        self._routes = {TOKEN: self._token, EXCHANGE: self._exchange, DIGEST: self._compare, RENEW: self._renew}

    def enrol(self, node: UUID, site: int, sign_key: VerifyKey, seal_key: SealKey) -> None:
        self._books.boxes[node] = Box(site, sign_key, seal_key)

    def keys_of(self, node: UUID) -> tuple[VerifyKey, SealKey]:
        box = self._box(self._books, node)
        return box.key, box.seal

    def expect_trusted(self, node: UUID) -> None:
        self._trusted(self._books, node)

    # Calls

    def route(self, call: Call) -> Reply:
        books = self._books.copy()
        reply = self._routes[call.path](books, call)
        self._commit(books)
        return reply

    def _commit(self, books: Books) -> None:
        self.power.before_commit()
        self._books = books
        self.power.after_commit()

    def who(self, call: Call) -> UUID:
        token = call.headers["authorization"].removeprefix("Bearer ")
        now_ms = self._now_ms()
        if token not in self._tokens or self._tokens[token][2] <= now_ms:
            raise QurbaniError("not_signed_in")
        node, key, _ = self._tokens[token]
        tokens.check_possession(call.headers[tokens.PROOF], key, call.method, call.path, token, now_ms=now_ms)
        return node

    def _token(self, books: Books, call: Call) -> Reply:
        assertion = tokens.from_form(call.body)
        box = self._box(books, tokens.claimed_node(assertion))
        audience = tokens.audience(KEYS.sign.public)
        node = tokens.claimed_node(assertion)
        proof = tokens.verify(assertion, node, box.key, audience, now_ms=self._now_ms())
        if proof.jti in books.proofs:
            raise QurbaniError("bad_assertion", "the assertion has been used")
        books.proofs.add(proof.jti)
        self._drawn += 1
        token = f"token-{self._drawn}"
        self._tokens[token] = node, box.key, self._now_ms() + TOKEN_LIFE_S * 1000
        body = msgspec.json.encode(tokens.Token(token, TOKEN_LIFE_S))
        return Reply(200, {"content-type": "application/json"}, body)

    def _exchange(self, books: Books, call: Call) -> Reply:
        node = self.who(call)
        return _message(self._take_in(books, hub.read_exchange(call.body, node)))

    def exchange(self, message: Exchange) -> Exchanged:
        books = self._books.copy()
        answer = self._take_in(books, message)
        self._commit(books)
        return answer

    def _take_in(self, books: Books, message: Exchange) -> Exchanged:
        node, box = message.node, self._box(books, message.node)
        parked: list[Parked] = []
        if batch := message.batch:
            acked = len(box.ops)
            meet = hub.joint(batch, acked)
            stamp = box.ops[-1].stamp if acked else 0
            fresh = hub.accept(
                batch, box.key, acked=acked, held=box.hash_at(meet), stamp=stamp, now_ms=self._now_ms())
            held = [Held(new.op, new.hash, new.stamp, self._apply(books, box, new.op, new.stamp)) for new in fresh]
            box = books.boxes[node] = msgspec.structs.replace(box, ops=(*box.ops, *held))
            parked = _parked(box, batch.first, batch.last)
        if box.revoked:
            return Exchanged(
                len(box.ops), self._now_ms(), message.cursor, parked=parked, hash=box.hash, mark=message.mark,
                revoked=True)
        told = books.feeds[box.site]
        knows = told.is_at(message.cursor, message.mark)
        since = message.cursor if knows else 0
        rows = sorted((row for row in told.rows.values() if row.cursor > since), key=lambda row: row.cursor)
        page, root = feed.page(since, rows), b""
        if not page.more and (page.changes or not knows or message.check):
            root = digest.Tree({name: row.fields or {} for name, row in told.records().items()}).hash()
            parked = _parked(box, 1, len(box.ops))
        return Exchanged(
            len(box.ops), self._now_ms(), page.cursor, page.changes, page.more, parked,
            hash=box.hash if message.batch or root else b"", mark=told.marks.get(page.cursor, b""), again=not knows,
            digest=root,
        )  # fmt: skip

    def _compare(self, books: Books, call: Call) -> Reply:
        node, message = self.who(call), from_wire(call.body, Compare)
        box = self._trusted(books, node)
        hashes = [box.hash_at(seq) for seq in message.seqs]
        if not message.asks:
            return _message(Compared(hashes=hashes))
        told = books.feeds[box.site]
        if message.cursor != told.cursor or not told.is_at(message.cursor, message.mark):
            return _message(Compared(moved=True, hashes=hashes))
        answer = digest.answer(told.records(), message.asks)
        self._divergences += sum(bucket.records is not None for bucket in answer.buckets)
        return _message(msgspec.structs.replace(answer, hashes=hashes))

    def _renew(self, books: Books, call: Call) -> Reply:
        node, message = self.who(call), from_wire(call.body, Renew)
        box = self._trusted(books, node)
        if message.sign_key not in books.heirs:
            hub.check_renewal(message, node, acked=len(box.ops), held=box.hash_at(message.seq))
            self._drawn += 1  # not from the books: a hub that was put back gives nobody a name that another box has
            books.heirs[message.sign_key] = heir = UUID(int=0xC << 96 | self._drawn)
            books.boxes[heir] = Box(box.site, VerifyKey(message.sign_key), SealKey(message.seal_key))
        heir = books.heirs[message.sign_key]
        return _message(Enrolled(heir, SITES[box.site].id, KEYS.sign.public.raw, KEYS.unseal.public.raw))

    def arrived(self, blob_id: str, size: int, owner: UUID) -> None:
        books = self._books.copy()
        books.blobs.add(blob_id)
        site = self._box(books, owner).site
        if (receipts.ENTITY, receipts.key(blob_id)) not in books.feeds[site].rows:
            receipt = receipts.Receipt(blob_id, size, self._now_ms())
            self._tell(books, site, receipts.ENTITY, receipts.key(blob_id), receipts.sign(receipt, KEYS.sign))
        for (entity, key), record in books.records.items():
            if entity == "video" and record["blob_id"].value == blob_id:
                self._arrive(books, key)
        self._commit(books)

    def _arrive(self, books: Books, video: UUID) -> None:
        """Record and bytes of a video are there: once, that is an event."""
        if video not in books.told.values():
            self._drawn += 1
            event = UUID(int=self._drawn)
            books.outbox[event], books.told[event] = False, video

    # Records

    def _apply(self, books: Books, box: Box, op: Op, stamp: int) -> str | None:
        """Merge an op into its record; why it could not be, if so."""
        name, site = (op.entity, op.key), box.site
        try:
            if box.revoked:
                raise QurbaniError("revoked")
            merged = merge.merge(books.records.get(name, {}), op, stamp)
            if books.sites.setdefault(name, site) != site:
                raise QurbaniError("bad_op", f"this {op.entity} is another site's")
            _expect(books, site, op.entity, merge.values(merged.record))
        except QurbaniError as error:
            return f"{error.code}: {error.detail}"
        self._keep(books, name, merged)
        for claim in merge.claims(op):
            held = claim.entity, claim.key
            books.sites.setdefault(held, site)
            self._keep(books, held, merge.take(books.records.get(held, {}), claim, stamp))
        if op.entity == "video" and merged.record["blob_id"].value in books.blobs:
            self._arrive(books, op.key)
        return None

    def _keep(self, books: Books, name: Name, merged: merge.Merged) -> None:
        books.records[name] = merged.record
        books.conflicts |= {(*name, conflict.field) for conflict in merged.conflicts}

    def _tell(self, books: Books, site: int, entity: str, key: UUID, fields: dict[str, Any] | None) -> None:
        told = books.feeds[site]
        told.cursor += 1
        self._drawn += 1
        told.marks[told.cursor] = self._drawn.to_bytes(feed.MARK_BYTES)
        told.rows[entity, key] = Change(told.cursor, entity, key, fields)

    def _box(self, books: Books, node: UUID) -> Box:
        if node not in books.boxes:
            raise QurbaniError("unknown_node")
        return books.boxes[node]

    def _trusted(self, books: Books, node: UUID) -> Box:
        if (box := self._box(books, node)).revoked:
            raise QurbaniError("revoked")
        return box

    def _now_ms(self) -> int:
        return self._clock.read().wall_ms

    # People

    def tell(self, site: int, entity: str, n: int, fields: dict[str, Any] | None) -> None:
        books = self._books.copy()
        self._tell(books, site, entity, UUID(int=0xF << 96 | site << 64 | n), fields)
        self._commit(books)

    def redrive(self) -> None:
        books = self._books.copy()
        for node, box in sorted(books.boxes.items()):
            if not box.revoked:
                ops = [
                    msgspec.structs.replace(held, parked=self._apply(books, box, held.op, held.stamp))
                    if held.parked else held for held in box.ops
                ]
                books.boxes[node] = msgspec.structs.replace(box, ops=tuple(ops))
        self._commit(books)

    def shut_out(self, node: UUID) -> None:
        self._judge(node, revoked=True)

    def trust(self, node: UUID) -> None:
        self._judge(node, revoked=False)

    def _judge(self, node: UUID, *, revoked: bool) -> None:
        books = self._books.copy()
        if node in books.boxes:
            books.boxes[node] = msgspec.structs.replace(books.boxes[node], revoked=revoked)
        self._commit(books)

    def shut(self) -> set[UUID]:
        return {node for node, box in self._books.boxes.items() if box.revoked}

    # Events

    def relay(self) -> None:
        books = self._books.copy()
        waiting = [event for event, is_sent in books.outbox.items() if not is_sent]
        self._broker += waiting  # a crash between the broker's word and ours sends them again
        books.outbox |= dict.fromkeys(waiting, True)
        self._commit(books)

    def consume(self) -> int:
        again = 0
        while self._broker:
            books = self._books.copy()
            if self._broker[0] in books.effects:
                again += 1
            else:
                books.effects = (*books.effects, self._broker[0])
            self._commit(books)
            del self._broker[0]  # and one between the effect and the broker's next brings it again
        return again

    def wipe(self) -> None:
        self._broker.clear()

    def reopen(self) -> None:
        books = self._books.copy()
        books.outbox |= {event: False for event in books.outbox if event not in books.effects}
        self._commit(books)

    def events(self) -> Mapping[UUID, int]:
        return {event: self._books.effects.count(event) for event in self._books.outbox}

    # What it holds

    def acked(self, node: UUID) -> int:
        return len(self._books.boxes[node].ops) if node in self._books.boxes else 0

    def ops(self) -> Sequence[Held]:
        return [held for _, box in sorted(self._books.boxes.items()) for held in box.ops]

    def records(self) -> Mapping[Name, Mapping[str, Cell]]:
        return self._books.records

    def conflicts(self) -> set[tuple[str, UUID, str]]:
        return self._books.conflicts

    def feed(self, site: int) -> Sequence[Change]:
        return sorted(self._books.feeds[site].rows.values(), key=lambda row: row.cursor)

    def blobs(self) -> set[str]:
        return self._books.blobs

    def divergences(self) -> int:
        return self._divergences

    def save(self) -> Any:
        return self._books.copy(), dict(self.uploads), dict(self.lengths)

    def restore(self, image: Any, *, files: bool) -> None:
        books, uploads, lengths = image
        self._books = books.copy()
        if files:
            self.uploads, self.lengths = dict(uploads), dict(lengths)

    def close(self) -> None:
        pass


class _Sacrifice(msgspec.Struct):
    site_id: UUID
    animal_id: UUID
    executor_id: UUID
    opened: dict[str, Any]
    state: str


def _expect(books: Books, site: int, entity: str, fields: dict[str, Any]) -> None:
    """What the services of the hub expect of a record, as far as ops that come too early could fail it."""
    try:
        match entity:
            case "sacrifice":
                told = msgspec.convert(fields, _Sacrifice)
                if told.site_id != SITES[site].id or told.animal_id not in SITES[site].animals:
                    raise QurbaniError("bad_op", "the sacrifice is of an animal at another site")
            case "video" if ("sacrifice", UUID(fields["sacrifice_id"])) not in books.records:
                raise QurbaniError("bad_op", "the video is of a sacrifice that nobody told of")
            case "verdict" | "manifest" if ("video", UUID(fields["video_id"])) not in books.records:
                raise QurbaniError("bad_op", f"the {entity} is of a video that nobody told of")
            case "verdict":
                msgspec.convert(fields["body"], Verdict)
    except (msgspec.ValidationError, KeyError) as error:
        raise QurbaniError("bad_op", f"{entity}: {error}") from error


def _parked(box: Box, first: int, last: int) -> list[Parked]:
    return [
        Parked(held.op.seq, *held.parked.split(": ", 1))
        for held in box.ops if held.parked and first <= held.op.seq <= last
    ]


def _message(message: msgspec.Struct) -> Reply:
    return Reply(200, {"content-type": MEDIA_TYPE}, to_wire(message))
