"""The power goes, or the process is killed, at any write: what was acknowledged is there, and the box goes on."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.edge.preloaded import built, told

SEED = int(os.environ.get("QURBANI_TEST_SEED", random.SystemRandom().randrange(2**32)))


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("power", tmp_path_factory.mktemp("shim"))


def rounds(shim: Path, *given: object) -> Iterator[dict[str, Any]]:
    """What became of each box."""
    return told("cut_power", shim, *given)


@pytest.mark.parametrize(
    "count", [40, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)
def test_the_power_goes(shim: Path, tmp_path: Path, count: int) -> None:
    """Whatever of the unflushed a disk may have kept."""
    found = list(rounds(shim, "images", tmp_path, SEED, count))
    assert len(found) == count
    assert [each for each in found if each["wrong"]] == [], f"seed {SEED}"
    assert len({len(each["acknowledged"]) for each in found}) >= 4, "it went at few moments only"


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_the_process_is_killed(shim: Path, tmp_path: Path, every: int) -> None:
    """Before each write, flush and change of a name, one after the other."""
    found = list(rounds(shim, "kills", tmp_path, every))
    assert len(found) > 100 / every
    assert [each for each in found if each["wrong"]] == []
    assert [each["acknowledged"] for each in found if len(each["acknowledged"]) in (1, 4)], "it was killed early only"


def test_this_would_catch_a_box_that_does_not_wait_for_the_disk(shim: Path, tmp_path: Path) -> None:
    with closing(rounds(shim, "images", tmp_path, SEED, 200, "careless")) as found:
        assert any(each["wrong"] for each in found)
