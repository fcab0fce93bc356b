"""A check never says more than the evidence does, and ends once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from demo.answers import wait_for
from shared.ids import new_id
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed


def check(film: Filmed) -> tuple[str, list[str]]:
    """The outcome and the reasons."""
    query = "SELECT outcome, reasons FROM processing.checks WHERE video_id = :id AND ended IS NOT NULL"
    found: list[Any] = wait_for("the check to end", lambda: film.hub.sql(query, id=film.video))
    return found[0]


def test_each_share_of_a_cow_must_have_been_heard(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", "Leila Toumi", species="cow")
    film.tell()
    film.send()
    film.judge(heard=("Ahmed Benali",))
    assert check(film) == ("review", ["share_not_checked"])
    assert film.order_state() == "sacrificed"


def test_a_share_that_came_after_the_check_makes_it_a_review(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", species="cow")
    late = busy_hub.allocated_order(film.donor, film.site, "cow", "Omar Bello")
    assert late["animals"] == film.order["animals"]
    film.tell()
    film.judge()
    film.send()
    assert check(film) == ("review", ["share_not_checked"])


@pytest.mark.parametrize(("change", "why"), [
    ({"outcome": "review"}, "outside"),
    ({"body": {"outcome": "authentic"}}, "missing required field"),
    ({"video_id": str(UUID(int=7))}, "nobody told of"),
])  # fmt: skip
def test_a_verdict_that_contradicts_itself_or_belongs_nowhere_is_parked(
    busy_hub: CloudHub, change: dict[str, Any], why: str
) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    fields = {"video_id": str(film.video), "outcome": "authentic", "body": {"outcome": "authentic", "code": "1"}}
    film.box.write("verdict", film.verdict, fields | change)
    film.box.sync()
    (parked,) = film.box.parked.values()
    assert parked.code == "bad_op"
    assert why in parked.detail


def test_the_first_verdict_counts(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.judge("rejected")
    film.verdict = new_id()
    film.judge("authentic")
    film.send()
    assert check(film) == ("rejected", ["no_knife"])
    assert film.events("video.processed-final") == 1
