"""Which blob goes next, and when."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import QurbaniError
from sync.ports import Outgoing
from sync.schedule import HOUR_MS, KINDS, SMALL_BYTES, Bucket, Line, due_ms, order, windows

RECORD = UUID(int=1)


def blob(name: str, kind: str = "original", due: int = 0, size: int = 10 << 20) -> Outgoing:
    return Outgoing(name, size, kind, RECORD, due)


def test_proofs_go_before_films_whenever_they_were_made() -> None:
    waiting = [blob("film", due=1), blob("later kind", "unheard of", 0), blob("preview", "preview", 3),
               blob("poster", "poster", 9)]
    assert [each.blob_id for each in order(waiting)] == ["poster", "preview", "film", "later kind"]


def test_what_can_be_told_soonest_goes_first_and_nothing_waits_for_ever() -> None:
    recorded = {"rejected": 0, "review": 10 * HOUR_MS, "authentic": 18 * HOUR_MS, None: 11 * HOUR_MS}
    waiting = [blob(str(outcome), due=due_ms(at, outcome)) for outcome, at in recorded.items()]
    assert [each.blob_id for each in order(waiting)] == ["review", "None", "authentic", "rejected"]
    # Those that come two days later do not pass it, whatever they are.
    late = blob("late", due=due_ms(48 * HOUR_MS, "authentic"))
    assert order([late, *waiting])[-1] == late


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 5)), max_size=8), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_they_are_asked_for(found: list[tuple[str, int]], chance: object) -> None:
    waiting = [blob(str(n), kind, due) for n, (kind, due) in enumerate(found)]
    ordered = order(waiting)
    ordered = order(waiting)
    assert sorted(ordered, key=lambda each: (KINDS.index(each.kind), each.due_ms)) == ordered
    assert sorted(each.blob_id for each in ordered) == sorted(each.blob_id for each in waiting)


@pytest.mark.parametrize(("text", "open_at", "shut_at"), [
    ("", [0, 720, 1439], []),
    ("22:00-06:00", [1320, 1439, 0, 359], [360, 720, 1319]),
    ("13:00-14:30, 22:00-23:00", [780, 869, 1320], [870, 0, 1380]),
])
def test_films_go_in_their_windows_and_proofs_at_any_time(text: str, open_at: list[int], shut_at: list[int]) -> None:
    line = Line(windows=windows(text))
    assert all(line.allows(blob("film"), minute) for minute in open_at)
    assert not any(line.allows(blob("film"), minute) for minute in shut_at)
    assert all(line.allows(blob("poster", size=SMALL_BYTES), minute) for minute in [*open_at, *shut_at])


def test_on_a_metered_line_films_never_go() -> None:
    line = Line(metered=True, windows=windows("00:00-23:59"))
    assert not line.allows(blob("film"), 5)
    assert line.allows(blob("poster", "poster", size=1000), 5)


@pytest.mark.parametrize("text", ["22-06", "25:00-01:00", "22:60-23:00", "always"])
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(QurbaniError, match="bad_input"):
        windows(text)


@given(st.lists(st.tuples(st.floats(0.1, 500), st.floats(0, 30)), min_size=1, max_size=40))
def test_a_bucket_never_gives_more_than_its_rate_and_burst(takes: list[tuple[float, float]]) -> None:
    bucket, now, taken = Bucket(rate=10, burst=50, now=0), 0.0, 0.0
    for tokens, pause in takes:
        now += pause + bucket.take(tokens, now + pause)
        taken += tokens
        assert taken <= 50 + 10 * now + 1e-6
    assert bucket.wait_s(50, now + 100) == 0
