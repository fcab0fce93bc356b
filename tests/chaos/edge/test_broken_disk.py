"""A disk that is full, fails or is slow: nothing acknowledged is lost, the reason is said, and the box goes on."""

from __future__ import annotations

import errno
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.box import Tablet, running, until
from tests.chaos.edge.preloaded import built, told
from tests.hub import Hub, serving

STEPS = ["news", "first", "half", "video", "second"]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("disk", tmp_path_factory.mktemp("shim"))


def rounds(shim: Path, folder: Path, number: int, stays: bool, every: int, *more: str) -> Iterator[dict[str, Any]]:
    """What became of a box whose disk failed at each ``every``-th write or flush; the first one did not."""
    return told("broken_disk", shim, folder, number, int(stays), every, *more)


EVERY = [13, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_one_write_or_flush_that_fails(shim: Path, tmp_path: Path, number: int, every: int) -> None:
    """Whoever asks again gets it done, without a restart."""
    found = list(rounds(shim, tmp_path, number, False, every))
    assert len(found) > 80 / every
    for each in found:
        assert (each["wrong"], each["acknowledged"]) == ([], STEPS), each
        assert len(each["said"]) <= bool(each["k"]), "each failure is told once, and nothing else is said"
    # SQLite may do without one or the other of them, such as making the file smaller.
    assert sum(len(each["said"]) for each in found) >= 0.9 * (len(found) - 1)
    messages = {said.split(": ")[1] for each in found for said in each["said"]}
    assert messages <= {"disk_fault", "storage_full", f"[Errno {number}] {os.strerror(number)}"}, messages


@pytest.mark.parametrize("every", EVERY)
def test_a_disk_that_is_full_from_some_moment_on(shim: Path, tmp_path: Path, every: int) -> None:
    """What was acknowledged by then is there, and once there is room, all of it is done."""
    found = list(rounds(shim, tmp_path, errno.ENOSPC, True, every))
    assert len(found) > 80 / every
    for each in found:
        assert each["wrong"] == each["after"] == [], each
        assert each["healed"] == STEPS
        assert not each["k"] or "storage_full" in str(each["said"]) or "No space left" in str(each["said"]), each
    assert len({len(each["acknowledged"]) for each in found}) > 2, "it never failed in the middle"


def test_this_would_catch_a_box_that_does_not_look(shim: Path, tmp_path: Path) -> None:
    with closing(rounds(shim, tmp_path, errno.EIO, False, 13, "careless")) as found:
        assert any(each["wrong"] or each["after"] for each in found)


@pytest.mark.parametrize(
    ("tablets", "records", "pause_s", "slow_ms"),
    [(3, 4, 0.0, 100), pytest.param(20, 60, 1.0, 100, marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
)
def test_a_slow_disk(shim: Path, tmp_path: Path, tablets: int, records: int, pause_s: float, slow_ms: int) -> None:
    """Each flush takes a tenth of a second longer; then everything is killed."""
    slow = {"LD_PRELOAD": str(shim), "DISK_UNDER": str(tmp_path / "box"), "DISK_SLOW_US": str(slow_ms * 1000)}
    hub, took, acknowledged = Hub(), list[float](), set[UUID]()
    with ExitStack() as stack:
        stack.enter_context(serving(hub))
        box, tablet, animals = stack.enter_context(running(tmp_path / "box", hub, tablets * records, **slow))
        until(lambda: len(tablet.ask("GET", "/api/v1/animals").json()) == len(animals), what="the animals")

        def work(mine: list[UUID]) -> None:
            own = Tablet(box, tablet.executor)
            own.http.headers = tablet.http.headers
            for animal in mine:
                began = time.monotonic()
                acknowledged.add(own.open_sacrifice(animal))
                took.append(time.monotonic() - began)
                time.sleep(max(0, pause_s - took[-1]))
            own.close()

        threads = [threading.Thread(target=work, args=(animals[n::tablets],)) for n in range(tablets)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        box.kill()
        p99 = statistics.quantiles(took, n=100)[98]
        print(f"{len(took)} records, {statistics.median(took):.2f} s each, p99 {p99:.2f} s")
        assert statistics.median(took) > slow_ms / 1000, "the disk was not slow: this has proved nothing"
        assert {UUID(row["id"]) for row in box.rows("SELECT id FROM sacrifice")} == acknowledged
        assert len(acknowledged) == tablets * records
