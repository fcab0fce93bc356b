"""What a box makes of a reply that is no success, and how long it then waits."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from shared.errors import QurbaniError
from sync.backoff import CAP_S, delay_s
from sync.calls import MAX_RETRY_AFTER_S, Reply, refusal


def problem(document: Any, status: int = 400, **headers: str) -> QurbaniError:
    headers["content-type"] = "application/problem+json"
    error = refusal(Reply(status, headers, msgspec.json.encode(document)))
    assert error is not None
    return error


def test_a_success_is_no_error() -> None:
    assert refusal(Reply(204, {})) is None


def test_an_error_of_the_hub_is_the_same_error_here() -> None:
    sent = QurbaniError("gap", "ops 3 to 4 are missing", acked=2)
    got = problem(sent.problem(), sent.kind.status)
    assert (got.code, got.detail, got.facts, got.retry) == (sent.code, sent.detail, sent.facts, sent.retry)


@pytest.mark.parametrize(("retry", "code"), [(True, "unavailable"), (False, "bad_version")])
def test_a_code_of_a_later_version_keeps_whether_to_try_again(retry: bool, code: str) -> None:
    error = problem({"code": "of_tomorrow", "detail": "too much", "retry": retry})
    assert (error.code, error.detail) == (code, "of_tomorrow: too much")


@pytest.mark.parametrize("reply", [
    Reply(302, {"location": "http://login.example/"}),
    Reply(502, {"content-type": "text/html"}, b"<html>"),
    Reply(500, {"content-type": "application/problem+json"}, b"{"),
    Reply(500, {"content-type": "application/problem+json"}, b"[1]"),
    Reply(500, {"content-type": "application/problem+json"}, b"[" * 100_000),
])
def test_what_no_hub_would_say_was_somebody_else(reply: Reply) -> None:
    error = refusal(reply)
    assert error is not None
    assert (error.code, error.retry) == ("not_the_hub", True)


@pytest.mark.parametrize(("header", "facts"), [
    ("7", {"retry_after": 7}), ("99999999", {"retry_after": MAX_RETRY_AFTER_S}), ("9" * 5000, {}), ("-1", {}),
    ("Fri, 31 Dec 1999 23:59:59 GMT", {}),
])
def test_the_hub_says_how_long_to_stay_away(header: str, facts: dict[str, int]) -> None:
    busy = QurbaniError("too_many_requests").problem()
    assert problem(busy, 429, **{"retry-after": header}).facts == facts


def test_a_fact_cannot_take_the_place_of_what_every_error_has() -> None:
    assert problem({"code": "gap", "self": 1, "detail": None, "title": "x", "acked": 3}).facts == {"acked": 3}


def test_waits_grow_spread_over_their_whole_range_and_come_after_what_the_hub_asks() -> None:
    chance = random.Random(1)
    busy = QurbaniError("too_many_requests", retry_after=60)
    waits = [[delay_s(attempt, QurbaniError("unavailable"), chance.random) for _ in range(300)]
             for attempt in (1, 4, 30)]
    for sample, ceiling in zip(waits, (1, 8, CAP_S), strict=True):
        assert 0 <= min(sample) < ceiling * 0.05
        assert ceiling * 0.95 < max(sample) <= ceiling
    assert all(60 <= delay_s(1, busy, chance.random) <= 61 for _ in range(10))
    assert delay_s(1, QurbaniError("fork"), lambda: 0.5) == CAP_S / 2
