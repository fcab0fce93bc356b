"""kill -9 of the hub while a box pushes: nothing acknowledged is missing, nothing has happened twice."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from cloud.platform.settings import Settings
from demo.answers import wait_for
from demo.servers import Servers
from shared import settings
from shared.errors import QurbaniError
from shared.ids import new_id
from sync.calls import Call, Reply, drive
from sync.messages import EXCHANGE
from tests.chaos.cloud.reborn import Reborn, reborn
from tests.cloud_hub import Box, CloudHub, copied_room, running

SEED = int(os.environ.get("QURBANI_TEST_SEED", random.SystemRandom().randrange(2**32)))
SACRIFICES = 15
"""In a batch, with a video each: it takes the hub some hundred milliseconds to apply."""

CAPTURED = {"wall_ms": 1_780_000_000_000, "mono_ms": 9, "boot": "b"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class Fragile:
    """The road to a hub that keeps being killed."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=10)
        self.cut: Counter[str] = Counter()
        self.exchanging = threading.Event()

    def send(self, call: Call) -> Reply:
        if call.path == EXCHANGE and len(call.body) > 1000:
            self.exchanging.set()
        try:
            answer = self.http.request(call.method, call.path, headers=call.headers, content=call.body)
        except httpx.ConnectError:
            raise
        except httpx.TransportError:
            self.cut[call.path] += 1
            raise
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, headers, answer.content)


@pytest.fixture
def environ(servers: Servers, template: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of one hub, for all of its processes."""
    with copied_room(servers, template) as room:
        yield room.environ() | {"QURBANI_PUBLIC_URL": "http://hub.test", "QURBANI_DATA": str(tmp_path)}


@pytest.fixture
def desk(environ: dict[str, str]) -> Iterator[CloudHub]:
    """A process of the hub that stays alive and lets us look."""
    with running(settings.load(Settings, environ)) as desk:
        yield desk


class Yard:
    """What happens at the site meanwhile."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.opening = box.opening()
        self.sacrifices = 0
        self.videos: list[UUID] = []
        """Those whose bytes are there; of the others only the record is."""

    def is_done(self) -> bool:
        return self.box.acked == len(self.box.chain.ops) and len(self.box.sent_blobs) == len(self.videos)

    def fill(self) -> None:
        """A batch of sacrifices, each with a video, the first with its bytes, too."""
        for n in range(SACRIFICES):
            video = new_id()
            if n == 0:
                self.videos.append(video)
            self._record(video, self.box.seal(os.urandom(100)) if n == 0 else os.urandom(32).hex())
        self.sacrifices += SACRIFICES

    def _record(self, video: UUID, blob_id: str) -> None:
        sacrifice, box = new_id(), self.box
        box.write("sacrifice", sacrifice, self.opening)
        box.write("video", video, {
            "sacrifice_id": str(sacrifice), "sha256": "ab" * 32, "size": 10, "blob_id": blob_id,
            "blob_size": 100, "media_type": "video/mp4", "captured": CAPTURED,
        })  # fmt: skip
        box.write("sacrifice", sacrifice, {"state": "recorded"})


def kill_again_and_again(
    kills: int, hub: Reborn, road: Fragile, luck: random.Random, enough: threading.Event
) -> None:
    """Each time at some moment after the hub has been given a batch."""
    for _ in range(kills):
        wait_for("the hub to listen", lambda: httpx.get(f"{road.http.base_url}/health/live").is_success, every_s=0.02)
        road.exchanging.clear()
        road.exchanging.wait(30)
        enough.wait(luck.uniform(0, 0.6))
        hub.kill()
    enough.set()


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_a_hub_that_is_killed_while_it_applies_keeps_what_it_acknowledged(
    desk: CloudHub, environ: dict[str, str], tmp_path: Path, kills: int
) -> None:
    luck, port = random.Random(SEED), free_port()
    box = desk.box(desk.site(S1="sheep"))
    yard, road, enough = Yard(box), Fragile(f"http://127.0.0.1:{port}"), threading.Event()
    with reborn("serve", {**environ, "QURBANI_PORT": str(port)}, tmp_path / "hub.log") as hub:
        killing = threading.Thread(target=kill_again_and_again, args=(kills, hub, road, luck, enough))
        killing.start()
        while not (enough.is_set() and yard.is_done()):
            if yard.is_done():
                yard.fill()
            try:
                drive(box.session.run(), road.send)
            except httpx.TransportError:
                threading.Event().wait(0.02)
            except QurbaniError as error:
                if not error.retry:
                    raise
            [held] = desk.sql("SELECT coalesce(max(acked), 0) FROM sync.chains WHERE node = :node", node=box.node)
            assert held >= box.acked, f"seed {SEED}"
        killing.join()
        road.http.close()

    assert road.cut[EXCHANGE] >= kills / 3, "the hub was hardly ever hit while it applied"
    assert box.parked == {}
    assert box.held() == list(range(1, len(box.chain.ops) + 1))
    hashes = desk.sql("SELECT hash FROM sync.ops WHERE node = :node ORDER BY seq", node=box.node)
    assert hashes == box.chain.hashes[1:]
    states = desk.sql("SELECT state, count(*) FROM executors.sacrifices GROUP BY state")
    assert states == [("recorded", yard.sacrifices)]
    assert set(desk.sql("SELECT id FROM uploads.videos WHERE state = 'arrived'")) == set(yard.videos)
    told = desk.sql("SELECT convert_from(body, 'UTF8')::json #>> '{data,video_id}' FROM platform.outbox")
    assert Counter(told) == Counter(map(str, yard.videos)), f"seed {SEED}"
