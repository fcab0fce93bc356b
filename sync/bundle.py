"""Bundles: the messages and blobs of an exchange as files on a stick, for a site without a network.

A stick has two folders for each box: one to the hub, one back. What lies in them is the protocol's own: the box's
:class:`Exchange` messages and sealed blobs one way, the hub's :class:`Exchanged` answers the other. So it does not
matter which road anything took, in which order, or how often. See PROTOCOL.md, section 11.

A folder holds a bundle when it holds a manifest: it names all the rest, is signed by whoever wrote it, and is written
last. Until then the bundle before it is whole. Blobs are cut into parts, and what is on the stick already is not
written again. Nothing here does I/O: the stick, the box and the hub are ports.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Protocol
from uuid import UUID

import msgspec

from shared.crypto import SealKey, SigningKey, VerifyKey
from shared.errors import QurbaniError
from sync import feed
from sync.hub import read_exchange
from sync.messages import MAX_MESSAGE_BYTES, Exchange, Exchanged, from_wire, to_wire
from sync.ops import MAX_BATCH_BYTES, MAX_BATCH_OPS, Batch, encode
from sync.ports import Blobs, NodeStore, Outgoing

VERSION = 1
PART_BYTES = 64 << 20
"""How a blob is cut: a stick that is pulled out costs at most this much again. FAT32 could take 4 GiB."""
READ_BYTES = 1 << 20
MAX_BLOBS = 10_000
"""In one bundle, so that its manifest is a message and its names fit into a folder of FAT32."""
MAX_PAGES = 64
"""Of the site feed in one answer."""
SPARE_BYTES = 16 << 20
"""Kept free of blobs, for messages and the manifest."""

_SIGNED = b"qurbani/bundle/1\0"
_MANIFEST = re.compile(r"manifest-([0-9]{8})")

BlobId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class Stick(Protocol):
    """One folder on a medium that may be pulled out, or lie, at any moment. Raises ``stick_gone``."""

    def names(self) -> Sequence[str]: ...

    def size(self, name: str) -> int | None:
        """In bytes; None where there is no such file."""
        ...

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Fewer than ``size`` only at the end of the file; nothing where there is none."""
        ...

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Under ``name`` there is the whole file, durable, or what was there before. Raises ``storage_full``."""
        ...

    def remove(self, name: str) -> None: ...

    def room(self) -> int:
        """Free bytes."""
        ...


class Sender(msgspec.Struct, frozen=True):
    """Whoever writes bundles of box ``node``: the box itself or its hub. ``seal`` seals for ``to``."""

    node: UUID
    key: SigningKey
    to: SealKey
    seal: Callable[[bytes], bytes]


class Receiver(msgspec.Struct, frozen=True):
    """Whoever reads bundles of box ``node``. ``sender`` signed them; ``unseal`` opens what was sealed for ``own``."""

    node: UUID
    sender: VerifyKey
    own: SealKey
    unseal: Callable[[bytes], bytes]


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """A message as a file: its bytes are sealed."""

    size: Size
    sha256: bytes


class Carried(msgspec.Struct, frozen=True, array_like=True):
    """A sealed blob in parts. The names are those of :class:`sync.ports.Outgoing`."""

    blob_id: BlobId
    size: Size
    kind: str
    record: UUID


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bundle ``number`` of box ``node``: everything else that belongs to it.

    ``last`` is the newest op that the box had told in it or before, ``hash`` that op's; boxes of before leave them out.
    """

    node: UUID
    number: Annotated[int, msgspec.Meta(ge=1, le=99_999_999)]
    to: str
    """The id of the key that its letters are sealed for."""
    letters: list[Letter]
    blobs: list[Carried] = []
    part_bytes: Annotated[int, msgspec.Meta(ge=1, lt=4 << 30)] = PART_BYTES
    version: int = 1  # what an absent version means, for ever
    last: Annotated[int, msgspec.Meta(ge=0)] = 0
    hash: bytes = b""

    def letter(self, index: int) -> str:
        return f"letter-{self.number:08}-{index:04}"

    def parts(self, blob: Carried) -> list[tuple[str, int]]:
        """The files of a blob and their sizes, in order."""
        starts = range(0, blob.size, self.part_bytes)
        return [(f"{blob.blob_id}.{n:04}", min(self.part_bytes, blob.size - at)) for n, at in enumerate(starts)]

    def names(self) -> set[str]:
        letters = {self.letter(index) for index in range(len(self.letters))}
        return letters | {name for blob in self.blobs for name, _ in self.parts(blob)} | {_name(self.number)}


class Refused(msgspec.Struct, frozen=True):
    """What the hub could not take of a bundle: ``records``, or a blob by its id."""

    what: str
    code: str
    detail: str


class Answer(msgspec.Struct, frozen=True):
    """The first letter of a bundle from the hub: which bundle it answers, and what the hub holds now.

    ``acked`` is as in :class:`Exchanged`, the letters after this one; the feed in them begins after the place
    (``since``, ``mark``). A hub of before marks leaves ``mark`` out.
    """

    number: int
    since: int
    acked: int
    held: list[BlobId] = []
    refused: list[Refused] = []
    mark: bytes | None = None


class Hub(Protocol):
    """The hub's end, for the box whose bundle it is. Each call commits before it returns, and may be repeated."""

    def exchange(self, message: Exchange) -> Exchanged:
        """As over the wire, errors too."""
        ...

    def store(self, blob: Carried, pieces: Callable[[int], Iterator[bytes]]) -> None:
        """Store a blob unless it is there. ``pieces(offset)`` reads it from there on.

        Raises ``damaged`` where its bytes are missing or not what its name says; so may ``pieces``.
        """
        ...


class Exported(msgspec.Struct, frozen=True):
    """What a box wrote. ``left_out`` are the blobs for which there was no room; ``last`` is its newest op in it."""

    number: int
    last: int
    ops: int
    blobs: list[Outgoing]
    left_out: list[Outgoing]


class Received(msgspec.Struct, frozen=True):
    """What a hub took in: to be written back as the answer. ``pages`` are its answers to the messages, in order."""

    answer: Answer
    pages: list[Exchanged]


# The box


def export(sender: Sender, store: NodeStore, blobs: Blobs, stick: Stick, *, answered: Answer | None = None,
           part_bytes: int = PART_BYTES) -> Exported:
    """Write what the hub does not have yet. Repeating it goes on where it was cut.

    Records come first, then blobs, most wanted first, as many as there is room for. ``answered`` is what the hub
    said last to a bundle: what it has lost or could not read is written again. Raises ``storage_full`` when there
    is no room even for the records, ``later_bundle`` where one would go that tells more than this box knows.
    """
    _spare_a_later_one(sender, store, stick)
    refused = {each.what: each.code for each in answered.refused} if answered else {}
    wanted = store.outgoing()
    _make_room(stick, {blob.blob_id for blob in wanted} - refused.keys())
    at = store.position()
    first = min(at.acked, answered.acked) if answered and refused.get("records") == "gap" else at.acked
    messages = _messages(store, first)
    draft = Manifest(at.node, _next_number(stick), sender.to.id, [], part_bytes=part_bytes)
    letters = [_write_letter(stick, draft, index, sender, message) for index, message in enumerate(messages)]
    taken = [blob for blob in wanted[:MAX_BLOBS] if _write_blob(stick, draft, _carried(blob), blobs)]
    ops = sum(len(message.batch.lines) for message in messages if message.batch)
    last, carried = first + ops, [_carried(blob) for blob in taken]
    _finish(stick, sender, msgspec.structs.replace(
        draft, letters=letters, blobs=carried, last=last, hash=store.hash_at(last)))
    on_stick = {blob.blob_id for blob in taken}
    return Exported(draft.number, last, ops, taken, [blob for blob in wanted if blob.blob_id not in on_stick])


def _spare_a_later_one(sender: Sender, store: NodeStore, stick: Stick) -> None:
    """A box that was put back to an old copy, or copied, must not write over what it, or its twin, wrote since."""
    try:
        there = newest(Receiver(sender.node, sender.key.public, sender.to, lambda sealed: sealed), stick)
    except QurbaniError as error:
        if error.code == "stick_gone":
            raise
        return
    if there.hash and (there.last > store.position().head or store.hash_at(there.last) != there.hash):
        raise QurbaniError("later_bundle", f"bundle {there.number} tells of op {there.last}, which is unknown here")


def take_back(receiver: Receiver, store: NodeStore, stick: Stick) -> Answer:
    """Take in the hub's answer. Safe to repeat; an old one does no harm.

    Raises what :func:`newest` raises, and ``fork`` when the hub holds ops that this box has not written.
    """
    manifest = newest(receiver, stick)
    answer = from_wire(_open_letter(receiver, stick, manifest, 0), Answer)
    since, mark = answer.since, answer.mark
    for index in range(1, len(manifest.letters)):
        page = from_wire(_open_letter(receiver, stick, manifest, index), Exchanged)
        _take_page(store, page, since, mark)
        since, mark = page.cursor, page.mark
    for blob_id in {blob.blob_id for blob in store.outgoing()}.intersection(answer.held):
        store.sent(blob_id)
    return answer


def _messages(store: NodeStore, after: int) -> list[Exchange]:
    """All ops after ``after``; one message without any, so that the hub knows how far the box has read its feed."""
    at = store.position()
    batches: list[Batch | None] = []
    while batch := store.batch(after, MAX_BATCH_OPS, MAX_BATCH_BYTES) if after < at.head else None:
        batches.append(batch)
        after = batch.last
    return [Exchange(at.node, at.cursor, batch, at.mark) for batch in batches or [None]]


def _take_page(store: NodeStore, page: Exchanged, since: int, mark: bytes | None) -> None:
    """Take in a page that was read from the place (``since``, ``mark``)."""
    at = store.position()
    if page.acked > at.head:
        raise QurbaniError("fork", f"the hub holds {page.acked} ops of this box, which has {at.head}")
    if page.hash and page.hash != store.hash_at(page.acked):
        raise QurbaniError("fork", f"the hub holds another op {page.acked} of this box")
    feed.check(0 if page.again else since, page.feed, page.cursor)
    store.heard(page.time_ms)
    if page.acked > at.acked or page.parked:
        store.acknowledge(max(page.acked, at.acked), page.parked)
    # Over another road the box may have read on meanwhile, or it was put back: then the page does not join on. Nor does
    # the cursor alone say that it does, since a hub that was put back allots the same ones to other changes.
    if at.cursor == since and mark in (at.mark, None):
        store.apply(feed.Page(page.feed, page.cursor, page.more, page.mark, again=page.again))


# The hub


def receive(receiver: Receiver, stick: Stick, hub: Hub) -> Received:
    """Hand what is on the stick to the hub. Safe to repeat and to cut anywhere.

    What the hub refuses for good stands in the answer and holds up nothing else. Raises what :func:`newest` raises,
    ``unknown_node``, ``forbidden``, and errors after which it is to be run again as it is.
    """
    manifest = newest(receiver, stick)
    first = read_exchange(_open_letter(receiver, stick, manifest, 0), manifest.node)
    pages: list[Exchanged] = []
    refused: list[Refused] = []
    held: list[BlobId] = []
    cursor, mark = first.cursor, first.mark
    for index in range(len(manifest.letters)):
        try:
            message = read_exchange(_open_letter(receiver, stick, manifest, index), manifest.node)
            pages.append(hub.exchange(msgspec.structs.replace(message, cursor=cursor, mark=mark)))
        except QurbaniError as error:
            refused.append(_refused("records", error))
            break
        cursor, mark = pages[-1].cursor, pages[-1].mark
    for blob in manifest.blobs:
        try:
            hub.store(blob, _pieces(stick, manifest, blob))
        except QurbaniError as error:
            refused.append(_refused(blob.blob_id, error))
        else:
            held.append(blob.blob_id)
    more = True  # the news that came of all this, receipts among them
    while more and len(pages) < MAX_PAGES:
        pages.append(hub.exchange(msgspec.structs.replace(first, batch=None, cursor=cursor, mark=mark)))
        cursor, mark, more = pages[-1].cursor, pages[-1].mark, pages[-1].more
    return Received(Answer(manifest.number, first.cursor, pages[-1].acked, held, refused, first.mark), pages)


def answer(sender: Sender, received: Received, stick: Stick) -> None:
    """Write what the hub says to a bundle onto the stick that brought it."""
    draft = Manifest(sender.node, _next_number(stick), sender.to.id, [])
    letters = [_write_letter(stick, draft, index, sender, message)
               for index, message in enumerate([received.answer, *received.pages])]
    _finish(stick, sender, msgspec.structs.replace(draft, letters=letters))


def _refused(what: str, error: QurbaniError) -> Refused:
    """The refusal in ``error``, unless it is no word about this bundle: then it is raised."""
    if (error.retry and error.code != "gap") or error.code in {"unknown_node", "forbidden"}:
        raise error
    return Refused(what, error.code, error.detail)


# Either end


def newest(receiver: Receiver, stick: Stick) -> Manifest:
    """The newest whole bundle.

    Raises ``no_bundle``; where there is one but none is good, the reason against the newest: ``damaged``,
    ``bad_signature``, ``bad_version``, or ``foreign_bundle`` when it is for another hub or of another box.
    """
    failure = None
    for number in sorted(_numbers(stick), reverse=True):
        try:
            return _read_manifest(receiver, stick, number)
        except QurbaniError as error:
            if error.code == "stick_gone":
                raise
            failure = failure or error
    raise failure or QurbaniError("no_bundle")


def _numbers(stick: Stick) -> list[int]:
    return [int(match[1]) for name in stick.names() if (match := _MANIFEST.fullmatch(name))]


def _next_number(stick: Stick) -> int:
    return max(_numbers(stick), default=0) + 1


def _name(number: int) -> str:
    return f"manifest-{number:08}"


def _read_manifest(receiver: Receiver, stick: Stick, number: int) -> Manifest:
    raw = stick.read(_name(number), 0, MAX_MESSAGE_BYTES)
    try:
        body, signature = msgspec.msgpack.decode(raw, type=tuple[bytes, bytes])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise QurbaniError("damaged", f"{_name(number)} is not a manifest: {error}") from error
    receiver.sender.verify(signature, _SIGNED + body)
    try:
        manifest = msgspec.msgpack.decode(body, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise QurbaniError("bad_version", f"{_name(number)} is of another version: {error}") from error
    if manifest.version != VERSION:
        raise QurbaniError("bad_version", f"this is a bundle of version {manifest.version}")
    if (manifest.node, manifest.to) != (receiver.node, receiver.own.id) or manifest.number != number:
        raise QurbaniError("foreign_bundle", f"bundle {manifest.number} of {manifest.node} is for key {manifest.to}")
    if not manifest.letters:
        raise QurbaniError("damaged", "a bundle has at least one letter")
    return manifest


def _finish(stick: Stick, sender: Sender, manifest: Manifest) -> None:
    """Let the bundle count, and only then take away what belongs to none."""
    body = encode(manifest)
    stick.write(_name(manifest.number), [encode((body, sender.key.sign(_SIGNED + body)))])
    for name in set(stick.names()) - manifest.names():
        stick.remove(name)


def _write_letter(stick: Stick, manifest: Manifest, index: int, sender: Sender, message: msgspec.Struct) -> Letter:
    sealed = sender.seal(to_wire(message))
    stick.write(manifest.letter(index), [sealed])
    return Letter(len(sealed), hashlib.sha256(sealed).digest())


def _open_letter(receiver: Receiver, stick: Stick, manifest: Manifest, index: int) -> bytes:
    """What is in a letter, as it would be on the wire."""
    name, letter = manifest.letter(index), manifest.letters[index]
    if letter.size > 2 * MAX_MESSAGE_BYTES:
        raise QurbaniError("too_large", f"{name} is too large")
    sealed = stick.read(name, 0, letter.size)
    if hashlib.sha256(sealed).digest() != letter.sha256:
        raise QurbaniError("damaged", f"{name} is cut or altered", file=name)
    return receiver.unseal(sealed)


def _write_blob(stick: Stick, manifest: Manifest, blob: Carried, source: Blobs) -> bool:
    """Whether all of a blob is on the stick now. What was there already is not written again."""
    parts = manifest.parts(blob)
    missing = [index for index, (name, size) in enumerate(parts) if stick.size(name) != size]
    if sum(parts[index][1] for index in missing) + SPARE_BYTES > stick.room():
        return False
    for index in missing:
        name, size = parts[index]
        start = index * manifest.part_bytes
        try:
            stick.write(name, _read(source, blob.blob_id, start, start + size))
        except QurbaniError as error:
            if error.code != "damaged":
                raise
            return False  # the box has lost it; what else it has must not stay behind for that
    return True


def _read(source: Blobs, blob_id: str, start: int, stop: int) -> Iterator[bytes]:
    for at in range(start, stop, READ_BYTES):
        yield source.read(blob_id, at, min(READ_BYTES, stop - at))


def _pieces(stick: Stick, manifest: Manifest, blob: Carried) -> Callable[[int], Iterator[bytes]]:
    def pieces(offset: int) -> Iterator[bytes]:
        start = 0
        for name, size in manifest.parts(blob):
            for at in range(max(offset - start, 0), size, READ_BYTES):
                piece = stick.read(name, at, min(READ_BYTES, size - at))
                if len(piece) < min(READ_BYTES, size - at):
                    raise QurbaniError("damaged", f"{name} is missing or cut", file=name)
                yield piece
            start += size

    return pieces


def _make_room(stick: Stick, wanted: set[str]) -> None:
    """Take away what is neither message nor part of a blob that the hub wants, or wants once more.

    The bundle before this one may name such blobs; it loses nothing that it was still for.
    """
    for name in stick.names():
        if not name.startswith(("manifest-", "letter-")) and name.partition(".")[0] not in wanted:
            stick.remove(name)


def _carried(blob: Outgoing) -> Carried:
    return Carried(blob.blob_id, blob.size, blob.kind, blob.record)
