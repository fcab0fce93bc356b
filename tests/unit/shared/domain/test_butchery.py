"""Until when a hide must be salted, and how much meat an animal should give."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.hide import salt_within
from shared.domain.meat import YIELD, expected
from shared.domain.order import CAPACITY


@pytest.mark.parametrize(("heat_c", "minutes"), [(20, 240), (30, 120), (40, 60), (50, 60), (10, 480), (-5, 480)])
def test_a_hide_keeps_half_as_long_for_ten_degrees_more(heat_c: int, minutes: int) -> None:
    assert salt_within(heat_c) == timedelta(minutes=minutes)


def test_where_nobody_said_how_hot_it_is_it_is_hot() -> None:
    assert timedelta(hours=1) < salt_within(None) < timedelta(hours=2)


def test_every_species_has_a_yield_and_what_was_not_weighed_adds_nothing() -> None:
    assert YIELD.keys() == CAPACITY.keys()
    assert all(0.3 < low < high < 0.7 for low, high in YIELD.values())
    assert expected([("sheep", 40_000), ("sheep", None), (None, 10_000)]) == (16_800, 22_000)
    assert expected([]) == (0, 0)
