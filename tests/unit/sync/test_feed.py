"""The site feed: pages, tombstones, and a reader that is slower than the writers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import QurbaniError
from sync import feed
from sync.messages import Change


class Site:
    """The rows of one site's feed: one for each record, at the cursor of its latest change."""

    def __init__(self) -> None:
        self.cursor = 0
        self.rows: dict[tuple[str, UUID], Change] = {}

    def write(self, key: int, fields: dict[str, Any] | None) -> None:
        self.cursor += 1
        self.rows["animal", UUID(int=key)] = Change(self.cursor, "animal", UUID(int=key), fields)

    def since(self, cursor: int) -> list[Change]:
        return sorted((row for row in self.rows.values() if row.cursor > cursor), key=lambda row: row.cursor)

    def truth(self) -> dict[tuple[str, UUID], Any]:
        return {name: row.fields for name, row in self.rows.items() if row.fields is not None}


writes = st.lists(st.tuples(st.integers(1, 6), st.none() | st.fixed_dictionaries({"tag": st.text(max_size=3)})))


@given(before=writes, during=st.lists(writes, max_size=6), rows=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_a_change_made_during_a_slow_read_is_not_missed(before: list[Any], during: list[Any], rows: int) -> None:
    site, records, cursor, read = Site(), {}, 0, []
    for write in before:
        site.write(*write)
    pending, more = iter(during), True
    while more or cursor < site.cursor:
        page = feed.page(cursor, site.since(cursor), max_rows=rows)
        feed.check(cursor, page.changes, page.cursor)
        for write in next(pending, []):
            site.write(*write)
        records = feed.apply(records, page.changes)
        read += [change.cursor for change in page.changes]
        cursor, more = page.cursor, page.more
    assert records == site.truth()
    assert read == sorted(set(read)), "no change is read twice"


def test_what_the_reader_has_is_not_sent_again_and_an_empty_page_stays_where_it_is() -> None:
    site = Site()
    for n in range(1, 4):
        site.write(n, {"tag": str(n)})
    first = feed.page(0, site.since(0), max_rows=2)
    assert ([change.cursor for change in first.changes], first.cursor, first.more) == ([1, 2], 2, True)
    second = feed.page(2, site.since(2), max_rows=2)
    assert ([change.cursor for change in second.changes], second.cursor, second.more) == ([3], 3, False)
    assert feed.page(3, site.since(3)) == feed.Page([], 3, more=False)


def test_a_deleted_record_is_a_tombstone_and_a_changed_one_is_sent_once() -> None:
    site = Site()
    site.write(1, {"tag": "a"})
    site.write(2, {"tag": "b"})
    site.write(1, {"tag": "c"})
    site.write(2, None)
    changes = feed.page(0, site.since(0)).changes
    assert [(change.key.int, change.fields) for change in changes] == [(1, {"tag": "c"}), (2, None)]
    assert feed.apply({("animal", UUID(int=2)): {"tag": "b"}}, changes) == {("animal", UUID(int=1)): {"tag": "c"}}


def test_a_page_is_bounded_in_bytes_but_never_empty() -> None:
    site = Site()
    for n in range(3):
        site.write(n, {"tag": "x" * 400})
    assert [len(feed.page(0, site.since(0), max_bytes=size).changes) for size in (1, 1_000, 10_000)] == [1, 2, 3]
    assert feed.page(0, site.since(0), max_bytes=1).more


@pytest.mark.parametrize(
    ("since", "cursors", "cursor"), [(5, [], 4), (5, [5], 6), (5, [7, 6], 7), (5, [6, 6], 6), (5, [6, 7], 6)])
def test_a_page_that_runs_backwards_is_refused(since: int, cursors: list[int], cursor: int) -> None:
    changes = [Change(n, "animal", UUID(int=n), {}) for n in cursors]
    with pytest.raises(QurbaniError) as refused:
        feed.check(since, changes, cursor)
    assert refused.value.code == "bad_input"
