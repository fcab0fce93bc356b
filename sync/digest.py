"""Whether box and hub hold the same records, and if not, which ones differ, in a few messages.

A hash tree over what the site feed holds (after R. Merkle, "A Digital Signature Based on a Conventional
Encryption Function", 1987; as a means of repair, DeCandia et al., "Dynamo", 2007, section 4.7). A record's
place is the hex of SHA-256 of its name; the hash of a prefix covers every record whose place begins with it.
One hash compares all. Where it differs, the box asks about it; the hub answers with the hashes of the sixteen
longer prefixes, or, where there are few records below it, with these. So a difference among *n* records takes
about ``log16(n / LEAF) + 1`` messages to find, and the last of them brings what repairs it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from shared.errors import QurbaniError
from sync.messages import Ask, Bucket, Change, Compared
from sync.ops import encode

SIZE = 16
"""Bytes of a hash on the wire: the first of SHA-256."""
LEAF = 8
"""At most so many records come whole instead of the hashes of sixteen parts."""
MAX_ASKS = 64
MAX_BYTES = 512 << 10
"""An answer holds no more records than this, except where a single prefix has more."""
MAX_PREFIX = 64

DIGITS = "0123456789abcdef"

Name = tuple[str, UUID]


class Tree:
    """The records of a site feed, without the tombstones, and the hash of each part of them."""

    def __init__(self, records: Mapping[Name, Mapping[str, Any]]) -> None:
        leaves = sorted((_place(*name), _leaf(*name, fields), name) for name, fields in records.items())
        self._places = [place for place, _, _ in leaves]
        self._hashes = [leaf for _, leaf, _ in leaves]
        self._names = [name for _, _, name in leaves]

    def hash(self, prefix: str = "") -> bytes:
        """Of all records whose place begins with ``prefix``; the root for none."""
        return hashlib.sha256(b"".join(self._hashes[self._below(prefix)])).digest()[:SIZE]

    def names(self, prefix: str) -> Sequence[Name]:
        return self._names[self._below(prefix)]

    def _below(self, prefix: str) -> slice:
        # "g" follows every hex digit.
        return slice(bisect_left(self._places, prefix), bisect_left(self._places, prefix + "g"))


def answer(records: Mapping[Name, Change], asks: Sequence[Ask]) -> Compared:
    """The hub's answer about ``records``, the rows of its feed that are not tombstones. Raises ``bad_input``."""
    if len(asks) > MAX_ASKS or any(len(ask.prefix) > MAX_PREFIX or not set(ask.prefix) <= set(DIGITS) for ask in asks):
        raise QurbaniError("bad_input", f"at most {MAX_ASKS} prefixes of hex digits")
    tree = Tree({name: row.fields or {} for name, row in records.items()})
    buckets: list[Bucket] = []
    size = 0
    for count, ask in enumerate(asks):
        if tree.hash(ask.prefix) == ask.hash:
            continue
        names = tree.names(ask.prefix)
        if len(names) > LEAF and len(ask.prefix) < MAX_PREFIX:
            bucket = Bucket(ask.prefix, [tree.hash(ask.prefix + digit) for digit in DIGITS], None)
        else:
            bucket = Bucket(ask.prefix, None, [records[name] for name in names])
        size += len(encode(bucket))
        if buckets and size > MAX_BYTES:
            return Compared(answered=count, buckets=buckets)
        buckets.append(bucket)
    return Compared(answered=len(asks), buckets=buckets)


def narrow(tree: Tree, buckets: Iterable[Bucket]) -> tuple[list[Ask], list[Change]]:
    """What the box asks next, and what it has to change: a change without fields takes a record away."""
    asks: list[Ask] = []
    repairs: list[Change] = []
    for bucket in buckets:
        for digit, theirs in zip(DIGITS, bucket.hashes or (), strict=False):
            ours = tree.hash(bucket.prefix + digit)
            if ours != theirs:
                asks.append(Ask(bucket.prefix + digit, ours))
        if bucket.records is not None:
            kept = {(row.entity, row.key) for row in bucket.records}
            repairs += bucket.records
            repairs += [Change(0, *name, None) for name in tree.names(bucket.prefix) if name not in kept]
    return asks, repairs


def _place(entity: str, key: UUID) -> str:
    return hashlib.sha256(encode([entity, key])).hexdigest()


def _leaf(entity: str, key: UUID, fields: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(encode([entity, key, fields])).digest()
