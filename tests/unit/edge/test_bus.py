from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.bus import FEED, JOB, OP, Bell, Ear
from shared.errors import QurbaniError


@contextmanager
def ear(folder: Path, *topics: str) -> Iterator[Ear]:
    listening = Ear(folder, topics)
    yield listening
    listening.close()


@contextmanager
def bell(folder: Path, process: str) -> Iterator[Bell]:
    ringing = Bell(folder, process)
    yield ringing
    ringing.close()


def hears(ear: Ear, bell: Bell, *topics: str) -> set[str]:
    """What arrives once the two have found each other: bells are lost until then, and may be."""
    for _ in range(100):
        bell.ring(*topics)
        if heard := ear.wait(0.05):
            return heard | ear.wait(0.05)
    return set()


def test_a_bell_is_heard_by_those_who_listen_for_it(tmp_path: Path) -> None:
    with bell(tmp_path, "api") as api, ear(tmp_path, JOB) as worker, ear(tmp_path, OP, FEED) as agent:
        assert hears(worker, api, JOB, OP) == {JOB}
        assert hears(agent, api, JOB, OP) == {OP}


def test_a_burst_is_one_answer(tmp_path: Path) -> None:
    with bell(tmp_path, "api") as api, ear(tmp_path, JOB) as worker:
        hears(worker, api, JOB)
        for _ in range(50):
            api.ring(JOB)
        assert worker.wait(1) == {JOB}
        assert worker.wait(0) == set()


def test_silence_ends(tmp_path: Path) -> None:
    with ear(tmp_path, JOB) as worker:
        started = time.monotonic()
        assert worker.wait(0.05) == set()
        assert 0.04 < time.monotonic() - started < 1


def test_either_side_may_come_back(tmp_path: Path) -> None:
    with ear(tmp_path, JOB) as worker:
        for _ in range(3):
            with bell(tmp_path, "api") as api:
                assert hears(worker, api, JOB) == {JOB}


def test_threads_may_share_a_bell(tmp_path: Path) -> None:
    with bell(tmp_path, "api") as api, ear(tmp_path, JOB, OP) as worker:
        hears(worker, api, JOB)
        threads = [threading.Thread(target=lambda: [api.ring(JOB, OP) for _ in range(200)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert worker.wait(1) == {JOB, OP}


def test_a_folder_too_deep_for_sockets_is_named(tmp_path: Path) -> None:
    with pytest.raises(QurbaniError, match="QURBANI_DATA"):
        Bell(tmp_path / ("x" * 100), "api")
