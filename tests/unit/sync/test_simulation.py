"""The simulation: clean seeds stay clean, planted mistakes are noticed, and the same seed is the same everywhere."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import structlog

from commands.simulated.cloud import CloudHub
from commands.simulated.maker import Maker, Makers
from commands.simulated.mutants import MUTANTS, planted, share_of
from sync.simulation import tape as tapes
from sync.simulation.run import play, shortest
from sync.simulation.tape import Event, Tape, draw

TAPES = Path(__file__).with_name("tapes")
"""Failures as they were cut down. Their seeds play something else as soon as worlds are drawn differently."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("block", range(4))
def test_no_seed_breaks_a_promise(block: int) -> None:
    makers = Makers()
    failures = {seed: play(draw(seed), makers(seed)).failure for seed in range(block * 75, block * 75 + 75)}
    assert not {seed: failure for seed, failure in failures.items() if failure}


@pytest.mark.parametrize("seed", [50270, 50831, 51233])
def test_seeds_that_found_something_stay_clean(seed: int) -> None:
    assert play(draw(seed), Makers()(seed)).failure is None


@pytest.mark.slow
@pytest.mark.parametrize("block", range(40))
def test_no_seed_of_many_breaks_a_promise(block: int) -> None:
    makers = Makers()
    failures = {seed: play(draw(seed), makers(seed)).failure for seed in range(block * 250, block * 250 + 250)}
    assert not {seed: failure for seed, failure in failures.items() if failure}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_planted_mistake_is_noticed(mutant: str) -> None:
    makers = Makers(share_of(mutant))
    with planted(mutant):
        assert any(play(draw(seed), makers(seed)).failure for seed in range(1_000))


def test_the_hubs_own_routes_on_sqlite_do_what_its_core_does() -> None:
    """``cloud/apply`` and the stand-in that most seeds use give the same trace, call by call."""
    core, cloud = Maker(), Maker(CloudHub)
    for seed in range(15):
        lines: list[list[str]] = [[], []]
        results = play(draw(seed), core, lines[0]), play(draw(seed), cloud, lines[1])
        assert lines[0] == lines[1]
        assert results[0] == results[1]
        assert results[1].failure is None


def test_a_seed_is_the_same_in_every_process() -> None:
    command = [sys.executable, "-m", "qurbani", "sync", "simulate", "--seeds", "10", "--workers", "1", "--json"]
    traces = set()
    for salt in ("1", "2"):
        ran = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, check=True)
        traces.add(msgspec.json.decode(ran.stdout)["trace"])
    assert len(traces) == 1


@pytest.mark.parametrize("mutant", ["branch-dropped", "stick-believed-to-arrive"])
def test_a_failing_seed_is_cut_down_to_a_tape_that_fails_alike(mutant: str) -> None:
    maker = Maker()
    with planted(mutant):
        seed = next(seed for seed in range(200) if play(draw(seed), maker).failure)
        short = shortest(draw(seed), maker)
        assert play(msgspec.json.decode(msgspec.json.encode(short), type=Tape), maker).failure
    assert len(short.events) <= 12
    assert play(short, maker).failure is None, "without the mistake, it is a tape like any other"


@pytest.mark.parametrize("path", sorted(TAPES.glob("*.json")), ids=lambda path: path.stem)
def test_what_once_broke_a_promise_breaks_none(path: Path) -> None:
    assert play(msgspec.json.decode(path.read_bytes(), type=Tape), Maker()).failure is None


def test_a_box_that_was_put_back_leaves_the_stick_alone_and_its_later_op_arrives() -> None:
    """Rare among seeds: the disk goes back between two visits of one stick that nobody has read."""
    doings = ("spoil", "save", "spoil", "export", "back", "export", "import", "home")
    at_one_box = Tape((0,), tuple(Event(1000 * at, do, n=at) for at, do in enumerate(doings, 1)))
    trace: list[str] = []
    played = play(at_one_box, Maker(), trace)
    assert played.failure is None
    assert {"a box left a later bundle alone", "a box took another name"} <= set(played.seen)
    assert "7000 hub imports 2 0" in trace


def test_turning_a_fault_off_moves_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [event for event in draw(3).events if event.do != "power"]
    monkeypatch.delitem(tapes._NEMESES, "power")
    assert [event for event in draw(3).events if event.do != "power"] == before
