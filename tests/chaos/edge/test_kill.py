"""kill -9 of a box at work, again and again: nothing acknowledged is missing, and nothing happened twice."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import httpx
import pytest

from shared.crypto import UnsealKey
from shared.ids import new_id
from shared.sealed import SealedReader
from tests.box import Box, Tablet, running, until
from tests.hub import Hub, serving

T = TypeVar("T")

ANIMALS = 4
HUB_KEY = UnsealKey(b"h" * 32)


class Executor(threading.Thread):
    """Records one video after the other; asks again until each step is answered, and remembers the answers."""

    def __init__(self, tablet: Tablet, animals: list[UUID], chance: random.Random) -> None:
        super().__init__()
        self.tablet = tablet
        self.animals = animals
        self.chance = chance
        self.go_home = threading.Event()
        self.opened: set[UUID] = set()
        self.acknowledged: dict[UUID, bytes] = {}
        self.judged: dict[str, str] = {}

    def run(self) -> None:
        for number in itertools.count():
            sacrifice = self.sacrifice(number)
            video, content = new_id(), self.chance.randbytes(300_000)
            self.insist(self.tablet.upload, sacrifice, video, content, 100_000)
            self.acknowledged[video] = content
            for judged in self.insist(self.tablet.verdicts, sacrifice):
                assert self.judged.setdefault(judged["id"], judged["outcome"]) == judged["outcome"]
            if self.go_home.is_set():
                return

    def sacrifice(self, number: int) -> UUID:
        """A new one as long as there are animals; then retakes."""
        animal = self.animals[number % ANIMALS]
        id = UUID(int=animal.int + 1)
        self.insist(self.tablet.open_sacrifice, animal, id)
        self.opened.add(id)
        return id

    def insist(self, step: Callable[..., T], *arguments: object, **options: object) -> T:
        while True:
            try:
                return step(*arguments, **options)
            except (httpx.TransportError, FileNotFoundError):
                time.sleep(0.05)


class Killer:
    """Waits until the box is in the middle of something, and kills one of its processes or all of them."""

    def __init__(self, box: Box, hub: Hub, chance: random.Random) -> None:
        self.box = box
        self.hub = hub
        self.chance = chance

    def strike(self, victim: str, moment: str) -> None:
        until({"upload": self.uploading, "check": self.checking, "sync": self.syncing()}[moment], what=moment)
        time.sleep(self.chance.uniform(0, 0.03))
        if victim == "box":
            self.box.kill()
            self.box.start()
        else:
            os.kill(until(lambda: self.box.children().get(victim)), signal.SIGKILL)

    def uploading(self) -> bool:
        return any(data.stat().st_size for data in self.box.folder.glob("uploads/*/data"))

    def checking(self) -> bool:
        return bool(self.box.rows("SELECT 1 FROM job WHERE state = 'open' AND token IS NOT NULL"))

    def syncing(self) -> Callable[[], bool]:
        before = len(self.hub.uploads)
        return lambda: len(self.hub.uploads) > before


MOMENTS = [
    ("api", "upload"),
    ("worker", "check"),
    ("agent", "sync"),
    ("box", "upload"),
    ("box", "check"),
    ("box", "sync"),
]


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path, rounds: int) -> None:
    chance = random.Random(11)
    with ExitStack() as stack:
        hub = stack.enter_context(serving(Hub()))
        box, tablet, animals = stack.enter_context(running(tmp_path, hub, animals=ANIMALS))
        executor, killer = Executor(tablet, animals, chance), Killer(box, hub, chance)
        executor.start()
        for victim, moment in MOMENTS * rounds:
            killer.strike(victim, moment)
        executor.go_home.set()
        executor.join(60)
        assert not executor.is_alive()
        until(lambda: is_quiet(box, hub), what="the rest of the sync")
        assert box.stop() == 0
        check(box, hub, executor)


CARELESS = """
import threading
from edge.capture import Capture

keep_video = Capture.keep_video

def keep_later(self, video, executor):
    threading.Timer(3, keep_video, [self, video, executor]).start()
    return video.blob_id

Capture.keep_video = keep_later
"""


def test_this_would_catch_an_acknowledgement_before_the_commit(tmp_path: Path) -> None:
    """A box into whose processes Python loads a fault before anything else."""
    fault, folder = tmp_path / "fault", tmp_path / "box"
    fault.mkdir()
    folder.mkdir()
    (fault / "sitecustomize.py").write_text(CARELESS)
    with serving(Hub()) as hub, running(folder, hub, PYTHONPATH=str(fault)) as (box, tablet, animals):
        sacrifice = tablet.open_sacrifice(animals[0])
        tablet.upload(sacrifice, new_id(), b"acknowledged")
        box.kill()
        box.start()
        assert tablet.sacrifice(sacrifice)["videos"] == []


def is_quiet(box: Box, hub: Hub) -> bool:
    unsent = box.rows("""
        SELECT (SELECT count(*) FROM blob WHERE NOT sent) AS blobs, (SELECT max(seq) FROM op) AS head,
            (SELECT count(*) FROM job WHERE state = 'open') AS jobs""")
    return unsent == [{"blobs": 0, "head": len(hub.ops), "jobs": 0}]


def check(box: Box, hub: Hub, executor: Executor, animals: int = 0) -> None:
    """``animals`` is how many the box has told of itself."""
    videos = {UUID(row["id"]): row for row in box.rows("SELECT * FROM video")}
    verdicts = box.rows("SELECT video_id, outcome FROM verdict")

    # On the box: one record, one blob, one verdict, one finished job of each kind; no file that nobody needs.
    assert executor.opened == {UUID(row["id"]) for row in box.rows("SELECT id FROM sacrifice")}
    assert executor.acknowledged.keys() == videos.keys()
    assert {row["video_id"]: row["outcome"] for row in verdicts} == executor.judged
    assert len(verdicts) == len(videos)
    assert box.rows("SELECT count(*) AS jobs FROM job WHERE state <> 'open'") == [{"jobs": 2 * len(videos)}]
    assert {path.name for path in box.folder.glob("blobs/??/*")} == {row["blob_id"] for row in videos.values()}
    # What a crash leaves of a finished upload is the file of its blob under a second name, until it expires.
    assert all(data.stat().st_nlink == 2 for data in box.folder.glob("uploads/*/data"))
    findings = json.loads(box.command("doctor", "--json").stdout)
    assert [finding for finding in findings if not finding["is_well"]] == []

    # At the hub: the same, in one chain without a gap, and each video readable and what the executor filmed.
    assert not hub.parked
    entities = {"sacrifice": len(executor.opened), **dict.fromkeys(("video", "verdict", "manifest"), len(videos))}
    assert hub.entities() == entities | ({"animal": animals} if animals else {})
    assert sorted(hub.arrived) == sorted(row["blob_id"] for row in videos.values())
    assert sum(op.entity == "verdict" for op in hub.ops) == len(videos)
    for id, content in executor.acknowledged.items():
        assert hub.records["video", id]["sha256"].value == sha256(content).hexdigest()
        sealed = hub.uploads[videos[id]["blob_id"]]
        assert SealedReader(io.BytesIO(sealed), HUB_KEY).read() == content
