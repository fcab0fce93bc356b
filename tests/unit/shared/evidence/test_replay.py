"""What a newer model would have said otherwise."""

from __future__ import annotations

from msgspec.structs import replace

from shared.domain.verdict import Model, Reason, ShareMatch, Verdict
from shared.evidence.replay import Change, Replay, compare

BEFORE = Verdict(
    "rejected",
    "1",
    reasons=(Reason("no_knife"), Reason("other_name_said", "Ahmed Benali", "Omar Bello")),
    shares=(ShareMatch("Ahmed Benali", "other_order", 0.9, which="Omar Bello"), ShareMatch("Ali Bey", "heard", 0.8)),
    sampled=5,
    detector=Model("eyes", "1"),
    recogniser=Model("ears", "1"),
)


def test_the_same_is_no_difference() -> None:
    assert compare("a", BEFORE, BEFORE) == Replay("a", "rejected", "rejected", ())


def test_times_and_scores_are_no_difference() -> None:
    after = replace(BEFORE, shares=tuple(replace(share, score=0.5, start=1.0) for share in BEFORE.shares))
    assert not compare("a", BEFORE, after).changes


def test_every_difference_is_told() -> None:
    shares = (ShareMatch("Ahmed Benali", "heard", 0.9), BEFORE.shares[1])
    after = replace(BEFORE, outcome="authentic", reasons=(), shares=shares, together=5, detector=Model("eyes", "2"))
    assert compare("a", BEFORE, after) == Replay("a", "rejected", "authentic", (
        Change("outcome", "rejected", "authentic"),
        Change("reasons", ["no_knife", "other_name_said Ahmed Benali Omar Bello"], []),
        Change("together", 0, 5),
        Change("detector", "eyes 1", "eyes 2"),
        Change("share", "other_order", "heard", "Ahmed Benali"),
    ))  # fmt: skip
