"""Many tablets through a day: they film, correct and vanish, while processes are killed and the hub comes and goes."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.ids import new_id
from tests.box import Box, Tablet, running, until
from tests.chaos.edge.test_kill import Executor, check, is_quiet
from tests.hub import Hub, serving

FILM_BYTES = 120_000
CHECKED_S = 900
"""How far the checks may be behind when everybody goes home."""
RSS_MB = 300
"""Of each process, without the models."""
WAL_MB = 16
PROCESSES = ("api", "worker", "agent")


class Person(Executor):
    """Films each of a few animals again and again; notes what the box has acknowledged."""

    def __init__(self, tablet: Tablet, animals: list[UUID], tags: list[str], chance: random.Random, rest_s: float):
        super().__init__(tablet, animals, chance)
        self.tags = tags
        self.rest_s = rest_s
        self.weights: dict[UUID, int] = {}

    def run(self) -> None:
        for number in itertools.count():
            place = number % len(self.animals)
            animal = self.animals[place]
            sacrifice = UUID(int=animal.int + 1)
            self.insist(self.tablet.open_sacrifice, animal, sacrifice)
            self.opened.add(sacrifice)
            video, content = new_id(), self.chance.randbytes(FILM_BYTES)
            if self.chance.random() < 0.3:
                self.vanish(sacrifice, video, content)
            self.insist(self.tablet.upload, sacrifice, video, content, 50_000)
            self.acknowledged[video] = content
            if self.chance.random() < 0.3:
                self.correct(animal, self.tags[place])
            if self.go_home.wait(self.chance.uniform(0, 2 * self.rest_s)):
                break
        for sacrifice in self.opened:
            for judged in until(lambda sacrifice=sacrifice: self.verdicts(sacrifice), CHECKED_S, "the verdicts"):
                self.judged[judged["id"]] = judged["outcome"]

    def verdicts(self, sacrifice: UUID) -> list[dict[str, Any]] | None:
        """The videos of a sacrifice as the box tells them, once each is judged."""
        videos: list[dict[str, Any]] = self.insist(self.tablet.sacrifice, sacrifice)["videos"]
        return videos if all(video["outcome"] for video in videos) else None

    def vanish(self, sacrifice: UUID, video: UUID, content: bytes) -> None:
        """The tablet is gone in mid-upload, and comes back as one that has to sign in."""
        with suppress(httpx.TransportError, FileNotFoundError):
            self.tablet.upload(sacrifice, video, content, 50_000, stop=FILM_BYTES // 2)
        self.tablet.close()
        self.tablet = Tablet(self.tablet.box, self.tablet.executor)
        self.insist(self.tablet.sign_in)

    def correct(self, animal: UUID, tag: str) -> None:
        weight = self.chance.randint(20_000, 90_000)
        entry = {"tag": tag, "species": "sheep", "pen": "A", "weight_g": weight}
        self.insist(self.tablet.ask, "PUT", f"/api/v1/animals/{animal}", json=entry)
        self.weights[animal] = weight


class Team(Executor):
    """All of them as one, for :func:`check`."""

    def __init__(self, people: list[Person]) -> None:
        self.opened = {id for person in people for id in person.opened}
        self.acknowledged = {id: film for person in people for id, film in person.acknowledged.items()}
        self.judged = {id: outcome for person in people for id, outcome in person.judged.items()}


class Weather(threading.Thread):
    """The line to the hub, up and down."""

    def __init__(self, hub: Hub, chance: random.Random, seconds: float) -> None:
        super().__init__()
        self.hub, self.chance, self.seconds = hub, chance, seconds
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(self.chance.uniform(0, self.seconds)):
            with serving(self.hub):
                self.is_over.wait(self.chance.uniform(0, 2 * self.seconds))


@contextmanager
def weather(hub: Hub, chance: random.Random, seconds: float) -> Iterator[None]:
    line = Weather(hub, chance, seconds)
    line.start()
    try:
        yield
    finally:
        line.is_over.set()
        line.join()


class Meter:
    """Memory and descriptors of each process, and the length of the write-ahead log, time after time."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.rss_mb: dict[str, list[float]] = defaultdict(list)
        self.fds: dict[str, list[int]] = defaultdict(list)
        self.wal_mb: list[float] = []

    def read(self) -> None:
        self.wal_mb.append((self.box.folder / "edge.db-wal").stat().st_size / 1e6)
        for name, pid in self.box.children().items():
            with suppress(FileNotFoundError, ProcessLookupError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                self.fds[name].append(len(os.listdir(f"/proc/{pid}/fd")))
                self.rss_mb[name].append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("tablets", "seconds", "rest_s", "pause_s"),
    [(4, 3.0, 0.2, 0.7), pytest.param(20, 600.0, 30.0, 15.0, marks=pytest.mark.slow)],
)
def test_a_day_of_many_tablets(tmp_path: Path, tablets: int, seconds: float, rest_s: float, pause_s: float) -> None:
    """For the last half nobody is killed: then memory and descriptors must stay where they are."""
    chance, hub = random.Random(20), Hub()
    with ExitStack() as stack:
        with serving(hub):
            box, tablet, animals = stack.enter_context(running(tmp_path, hub, animals=2 * tablets))
        people = []
        for number in range(tablets):
            own = Tablet(box, tablet.executor)
            own.sign_in()
            mine = slice(2 * number, 2 * number + 2)
            tags = [f"{each:03}" for each in range(2 * tablets)][mine]
            people.append(Person(own, animals[mine], tags, random.Random(number), rest_s))
        with weather(hub, chance, pause_s):
            for person in people:
                person.start()
            kills = shaken(box, chance, seconds / 2, pause_s)
            meter = watched(box, seconds / 2)
            for person in people:
                person.go_home.set()
            for person in people:
                person.join(CHECKED_S)
                assert not person.is_alive()
                person.tablet.close()
        with serving(hub):
            until(lambda: is_quiet(box, hub), CHECKED_S, "the rest of the sync")
            assert box.stop() == 0
        team, corrected = Team(people), {id: weight for person in people for id, weight in person.weights.items()}
        check(box, hub, team, animals=len(corrected))
        assert {id: hub.records["animal", id]["weight_g"].value for id in corrected} == corrected
        print(f"{len(team.acknowledged)} videos, {len(corrected)} animals corrected, {kills} kills")
        told(meter, has_slope=seconds > 60)


def shaken(box: Box, chance: random.Random, seconds: float, pause_s: float) -> int:
    """Kill a process every now and then; how many."""
    end, kills = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        time.sleep(chance.uniform(0, pause_s))
        os.kill(until(lambda: box.children().get(chance.choice(PROCESSES))), signal.SIGKILL)
        kills += 1
    return kills


def watched(box: Box, seconds: float) -> Meter:
    meter, end = Meter(box), time.monotonic() + seconds
    while time.monotonic() < end:
        meter.read()
        time.sleep(min(1.0, seconds / 10))
    return meter


def told(meter: Meter, *, has_slope: bool) -> None:
    """Print what was measured; what may not grow has not grown."""
    print(f"write-ahead log: at most {max(meter.wal_mb):.1f} MB")
    assert max(meter.wal_mb) < WAL_MB
    for name, rss in meter.rss_mb.items():
        fds, middle = meter.fds[name], len(rss) // 2
        before, after = median(rss[:middle]), median(rss[middle:])
        print(f"{name}: {before:.0f} then {after:.0f} MB, at most {max(rss):.0f} MB and {max(fds)} descriptors")
        assert max(rss) < RSS_MB
        if has_slope:
            assert after < 1.1 * before + 5
            assert max(fds[middle:]) <= max(fds[:middle]) + 10
