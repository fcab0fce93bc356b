"""The road of an order, as its page shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from cloud.donors.schemas import Order, Step
from cloud.pages.service import steps

NOW = datetime(2026, 5, 27, tzinfo=UTC)


def progress(*states: str) -> list[tuple[str, str]]:
    timeline = [Step(state, NOW) for state in states]
    order = Order(UUID(int=1), "1001", UUID(int=2), "sheep", states[-1], NOW, [], timeline)
    return [(step.state, step.progress) for step in steps(order)]


def test_what_is_done_comes_first_and_then_what_is_going_on() -> None:
    assert progress("placed", "paid", "allocated", "sacrificed") == [
        ("placed", "done"), ("paid", "done"), ("allocated", "done"), ("sacrificed", "done"),
        ("verified", "current"), ("out_for_delivery", "todo"), ("delivered", "todo"),
    ]  # fmt: skip


def test_a_step_that_was_skipped_is_not_still_to_come() -> None:
    road = progress("placed", "paid", "allocated", "sacrificed", "verified", "delivered")
    assert road[-1] == ("delivered", "done")
    assert "out_for_delivery" not in dict(road)


@pytest.mark.parametrize("end", ["cancelled", "refunded"])
def test_an_order_that_left_the_road_goes_nowhere(end: str) -> None:
    assert progress("placed", "paid", end) == [("placed", "done"), ("paid", "done"), (end, "done")]
