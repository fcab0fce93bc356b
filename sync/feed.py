"""The site feed: what the hub has to tell the boxes of one site, in one order, each record once.

The hub keeps one row for each record of a site: its entity, key, fields (None once it is gone: a tombstone)
and the cursor of its latest change. A change takes the next cursor and replaces the row, so reading from 0
is the snapshot that a new or wiped box needs, and nobody ever reads the same record twice in a row of pages.

A reader at cursor n never comes back for what is at n or below. So when a change becomes visible, every
change with a smaller cursor must be visible already: **cursors must be allotted in commit order**. A
sequence does not do that (a transaction may take 7 and commit after 8). On PostgreSQL, keep one counter row
for each site and take the number from it in the writing transaction::

    UPDATE feed_heads SET cursor = cursor + 1 WHERE site_id = :site RETURNING cursor

The row stays locked until that transaction ends, so whoever takes the next number commits later. Take it
late in the transaction, and for several sites in the order of their ids, to keep the lock short and free
of deadlocks. The page itself is one SELECT, ``WHERE site_id = :site AND cursor > :since ORDER BY cursor``.

A hub that was put back to an old state allots the same cursors again, to other changes. So each cursor has a
**mark**, random bytes that are drawn when it is allotted and kept for good, and a box says both. Where the hub
has no such place, the box reads everything from the start, keeps what it has until it has read to the end, and
then takes away what it did not meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec

from shared.errors import QurbaniError
from sync.messages import Change
from sync.ops import encode

PAGE_ROWS = 1_000
PAGE_BYTES = 512 << 10

Records = Mapping[tuple[str, UUID], Mapping[str, Any]]


MARK_BYTES = 8


class Page(msgspec.Struct, frozen=True):
    """The next changes, where to read on, and whether there is more there already.

    ``mark`` names the place at ``cursor``; ``again`` says that this is the first page of a whole reading.
    """

    changes: list[Change]
    cursor: int
    more: bool
    mark: bytes = b""
    again: bool = False


def page(since: int, rows: Iterable[Change], *, max_rows: int = PAGE_ROWS, max_bytes: int = PAGE_BYTES) -> Page:
    """The page after ``since`` from ``rows``: the changes after it by cursor, at least ``max_rows + 1`` if there are.

    At least one change, however large, else as many as ``max_bytes`` hold.
    """
    taken: list[Change] = []
    size = 0
    for row in rows:
        size += len(encode(row))
        if taken and (len(taken) == max_rows or size > max_bytes):
            return Page(taken, taken[-1].cursor, more=True)
        taken.append(row)
    return Page(taken, taken[-1].cursor if taken else since, more=False)


def check(since: int, changes: Sequence[Change], cursor: int) -> None:
    """Raise ``bad_input`` unless a page read from ``since`` only moves forward. The box asks before it applies."""
    places = [since, *(change.cursor for change in changes)]
    if any(later <= earlier for earlier, later in pairwise(places)) or cursor < places[-1]:
        raise QurbaniError("bad_input", f"the site feed runs backwards after {since}")


def apply(records: Records, changes: Iterable[Change]) -> dict[tuple[str, UUID], Mapping[str, Any]]:
    """``records`` after a page: each change replaces its record or takes it away.

    Entities and fields that this version does not know are kept like the others, for the version that will.
    """
    after = dict(records)
    for change in changes:
        if change.fields is None:
            after.pop((change.entity, change.key), None)
        else:
            after[change.entity, change.key] = change.fields
    return after
