"""What a box and the hub say to each other, and its bytes: MessagePack inside zlib. See PROTOCOL.md."""

from __future__ import annotations

import zlib
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from shared.errors import QurbaniError
from sync.ops import Batch, encode

MEDIA_TYPE = "application/vnd.qurbani.sync"
ENROL, TOKEN, EXCHANGE, BLOBS = "/sync/v1/enrol", "/sync/v1/token", "/sync/v1/exchange", "/sync/v1/blobs"
DIGEST, RENEW = "/sync/v1/digest", "/sync/v1/renew"

MAX_MESSAGE_BYTES = 4 << 20
"""The largest message, compressed or not. Nothing larger is unpacked, whatever it claims to be."""

M = TypeVar("M", bound=msgspec.Struct)


class Enrol(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new box shows its one-time ``code`` and its public keys (32 bytes each).

    ``node`` is what a box was called by this hub before, which it asks for again: a hub that was put back to a backup
    of before it gave that name does not know the box any more.
    """

    code: str
    sign_key: bytes
    seal_key: bytes
    name: str
    proof: bytes
    """The signature of the new key over the code: whoever holds the code also holds the key."""
    node: UUID | None = None


class Enrolled(msgspec.Struct, frozen=True):
    """The hub's answer: who the box is, where it stands, and the hub's own public keys."""

    node: UUID
    site: UUID
    hub_sign_key: bytes
    hub_seal_key: bytes


class Renew(msgspec.Struct, frozen=True):
    """A box that shares its identity asks for one of its own: another box goes by it, or its disk was put back.

    ``seq`` is the last op that box and hub have in common (0: none) and ``hash`` its hash. ``sign_key`` and
    ``seal_key`` are new, ``proof`` shows that the box holds the first of them (see :mod:`sync.enrolment`).
    """

    node: UUID
    seq: int
    hash: bytes
    sign_key: bytes
    seal_key: bytes
    proof: bytes


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One record of the site feed at ``cursor``. ``fields`` is None where the record is gone (a tombstone)."""

    cursor: int
    entity: str
    key: UUID
    fields: dict[str, Any] | None


class Parked(msgspec.Struct, frozen=True, array_like=True):
    """An op that the hub keeps but could not apply: the error's code and what happened."""

    seq: int
    code: str
    detail: str


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One round trip: the next ops (if any) and how far the box has read the site feed.

    ``mark`` is what the hub called the place at ``cursor``. ``check`` asks for the hub's digest also where
    there is no news.
    """

    node: UUID
    cursor: int
    batch: Batch | None = None
    mark: bytes = b""
    check: bool = False
    version: int = 1  # what an absent version means, for ever; later versions write theirs
    features: tuple[str, ...] = ()


class Exchanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """The hub's answer.

    ``acked`` is the highest contiguous ``seq`` it holds durably, ``hash`` the hash of that op, where ops came or a
    digest goes. ``time_ms`` is its clock. ``cursor`` is where the box should read on, and ``mark`` the name of that
    place; ``more`` says that there is more to read already. ``again``: the hub does not know the box's place, and
    this page is the first of a whole reading. ``digest`` is the root of all that the feed holds at ``cursor``
    (:mod:`sync.digest`), and with it ``parked`` holds every op of the box that is parked, not only those of the
    batch. ``revoked``: the box was shut out; what it sends is kept aside, and it is told nothing.
    """

    acked: int
    time_ms: int
    cursor: int
    feed: list[Change] = []
    more: bool = False
    parked: list[Parked] = []
    version: int = 1
    features: tuple[str, ...] = ()
    hash: bytes = b""
    mark: bytes = b""
    again: bool = False
    digest: bytes = b""
    revoked: bool = False


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """What the box has under ``prefix`` comes to ``hash``."""

    prefix: str
    hash: bytes


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """What the hub has under ``prefix``, where that is something else: sixteen hashes, or all of its records."""

    prefix: str
    hashes: list[bytes] | None
    records: list[Change] | None


class Compare(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where do we differ? ``asks`` is about the feed as of the place (``cursor``, ``mark``), ``seqs`` about ops."""

    node: UUID
    cursor: int = 0
    mark: bytes = b""
    asks: list[Ask] = []
    seqs: list[int] = []


class Compared(msgspec.Struct, frozen=True, omit_defaults=True):
    """``moved``: the feed has gone on, read it first. Else ``buckets`` answers the first asks, as many as fit:
    those that differ; ``answered`` says how many. ``hashes`` are those of the ops at ``seqs``, empty for an op
    that the hub does not hold."""

    moved: bool = False
    answered: int = 0
    buckets: list[Bucket] = []
    hashes: list[bytes] = []


def to_wire(message: msgspec.Struct) -> bytes:
    """The body that carries ``message``.

    Compressed inside the media type, not by ``Content-Encoding``: HTTP libraries undo that before a limit
    can hold, and a stick has no headers. Ops repeat one another; a status change shrinks to a third.
    """
    return zlib.compress(encode(message))


def from_wire(body: bytes, kind: type[M]) -> M:
    """The message in ``body``. Raises ``too_large`` or, when it is not a ``kind``, ``bad_input``."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(body, MAX_MESSAGE_BYTES)
        if inflater.unconsumed_tail:
            raise QurbaniError("too_large", f"a message has at most {MAX_MESSAGE_BYTES} bytes")
        if not inflater.eof or inflater.unused_data:
            raise QurbaniError("bad_input", "the body is not one whole zlib stream")
        return msgspec.msgpack.decode(plain, type=kind)
    except zlib.error as error:
        raise QurbaniError("bad_input", f"the body is not zlib: {error}") from error
    # A text that is not UTF-8 and a bottomless nest come as Python's own errors.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise QurbaniError("bad_input", f"the body is not a {kind.__name__}: {error}") from error
