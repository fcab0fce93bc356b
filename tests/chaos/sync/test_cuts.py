"""A real box and a real hub, and between them a line that is cut after any byte, or goes silent, while both are killed.

Whatever happens: nothing acknowledged is lost, nothing happens twice, and in the end both have the same.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from cloud.platform.settings import Settings as HubSettings
from demo.proxy import Proxy
from demo.servers import Servers
from demo.servers.server import Port
from edge.agent import client, send
from edge.capture import Video
from edge.main import Box, opened
from edge.settings import Settings
from shared import settings
from shared.errors import QurbaniError
from shared.ids import new_id
from shared.sealed import Sealer
from sync.calls import drive
from tests import box as edge
from tests.chaos.cloud.reborn import reborn
from tests.cloud_hub import CloudHub, copied_room, migrated, running

SEED = int(os.environ.get("QURBANI_TEST_SEED", random.SystemRandom().randrange(2**32)))
CONTENT_BYTES = 3000


@pytest.fixture(scope="module")
def template(servers: Servers) -> Iterator[str]:
    with migrated(servers) as url:
        yield url


class Yard:
    """A running box and hub, and what was recorded at the box."""

    def __init__(self, desk: CloudHub, processes: edge.Box, box: Box, line: Proxy) -> None:
        self.desk, self.processes, self.box, self.line = desk, processes, box, line
        self.sacrifice = new_id()
        self.videos: list[UUID] = []

    def open(self) -> None:
        animal = edge.until(lambda: self.box.db.rows("SELECT id FROM animal"), what="the site feed")
        self.box.capture.open_sacrifice(self.sacrifice, UUID(animal[0]["id"]), new_id())

    def record(self) -> None:
        """A small video: two or three ops and a blob. It is durable on the box when this returns."""
        path = self.box.settings.folder / "sealing"
        with path.open("wb") as out:
            sealer = Sealer.begin(out.write, [self.box.keys.seal.public, self.box.node.hub_seal])
            sealer.write(os.urandom(CONTENT_BYTES))
            blob = sealer.finish()
        self.box.blobs.keep(path, blob.blob_id)
        path.unlink()
        video = Video(new_id(), self.sacrifice, blob.sha256, blob.size, blob.blob_id, blob.blob_size, "video/mp4")
        self.box.capture.keep_video(video, new_id())
        self.videos.append(video.id)

    def acked(self) -> int:
        return int(self.box.db.rows("SELECT acked FROM link")[0]["acked"])

    def held(self) -> list[bytes]:
        """The hashes of the box's ops that the hub holds."""
        return self.desk.sql("SELECT hash FROM sync.ops WHERE node = :node ORDER BY seq", node=self.box.node.id)

    def is_quiet(self) -> bool:
        [at] = self.box.db.rows("""
            SELECT (SELECT max(seq) FROM op) - acked AS ops, (SELECT count(*) FROM blob WHERE NOT sent) AS blobs
            FROM link""")
        return at == {"ops": 0, "blobs": 0}

    def check(self) -> None:
        assert self.held() == [row["hash"] for row in self.box.db.rows("SELECT hash FROM op ORDER BY seq")]
        assert self.box.db.rows("SELECT seq, parked FROM op WHERE parked IS NOT NULL") == []
        states = dict(self.desk.sql("SELECT id, state FROM uploads.videos WHERE node = :node", node=self.box.node.id))
        assert states == dict.fromkeys(self.videos, "arrived"), f"seed {SEED}"
        store = self.desk.platform.settings.data_path / "blobs"
        for row in self.box.db.rows("SELECT id FROM blob"):
            assert (store / row["id"][:2] / row["id"]).read_bytes() == self.box.blobs.path(row["id"]).read_bytes()
        told = self.desk.sql("SELECT convert_from(body, 'UTF8')::json #>> '{data,video_id}' FROM platform.outbox")
        assert Counter(id for id in told if id) == Counter(map(str, self.videos)), f"seed {SEED}"


@pytest.fixture
def yard(servers: Servers, template: str, tmp_path: Path) -> Iterator[tuple[Yard, Any]]:
    """With the hub's process, which can be killed."""
    with ExitStack() as stack:
        room, port = stack.enter_context(copied_room(servers, template)), stack.enter_context(Port())
        environ = room.environ() | {"QURBANI_PUBLIC_URL": "http://hub.test", "QURBANI_DATA": str(tmp_path / "hub")}
        desk = stack.enter_context(running(settings.load(HubSettings, environ)))
        at = {**environ, "QURBANI_PORT": str(port.number)}
        hub = stack.enter_context(reborn("serve", at, tmp_path / "hub.log"))
        line = stack.enter_context(Proxy("127.0.0.1", port.number))
        edge.until(lambda: is_up(port.number), 90, "the hub")
        code = desk.admin.post(f"/api/v1/sites/{desk.site(S1='sheep')}/enrolment-codes")["code"]
        quick = {"QURBANI_SYNC_INTERVAL_S": "0.1", "QURBANI_SYNC_READ_TIMEOUT_S": "3"}
        road = SimpleNamespace(url=f"http://127.0.0.1:{line.port}", code=code)
        processes = edge.Box(tmp_path / "box", road, **quick)  # type: ignore[arg-type]
        processes.enrol()
        stack.callback(processes.kill)
        processes.start()
        box = stack.enter_context(opened(Settings(data=str(tmp_path / "box"))))
        yield Yard(desk, processes, box, line), hub


def is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/live").is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("rounds", [
    pytest.param(4, marks=pytest.mark.timeout(900)),
    pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
])  # fmt: skip
def test_nothing_is_lost_over_cuts_silence_and_kills(yard: tuple[Yard, Any], rounds: int) -> None:
    here, hub = yard
    luck, line = random.Random(SEED), here.line
    here.open()
    for round_ in range(rounds):
        line.cut_after(**{luck.choice(["up", "down"]): luck.randrange(1, 9000)})
        here.record()
        fate = ("nothing", "kill hub", "silence", "kill box")[round_ % 4]
        line.wait_until_cut(luck.uniform(0.1, 2))
        if fate == "kill hub":
            hub.kill()
        elif fate == "kill box":
            here.processes.kill()
            here.processes.start()
        elif fate == "silence":
            line.heal()
            line.black_hole()
            here.record()
            line.wait_until_cut(0.3)
        acked = here.acked()
        line.heal()
        assert len(here.held()) >= acked, f"seed {SEED}"
    edge.until(here.is_quiet, 120, f"the rest of the sync (seed {SEED})")
    here.check()


@pytest.mark.parametrize("step", [
    pytest.param(611, marks=pytest.mark.timeout(600)),
    pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(14400)]),
])  # fmt: skip
def test_a_line_that_is_cut_after_every_byte_of_a_session(
    servers: Servers, template: str, tmp_path: Path, step: int
) -> None:
    """Ops and a blob, by the box's own client; the process of the hub lives here, that it need not be awaited."""
    environ = {"QURBANI_PUBLIC_URL": "http://hub.test", "QURBANI_DATA": str(tmp_path)}
    with copied_room(servers, template) as room, \
            running(settings.load(HubSettings, room.environ() | environ)) as hub, \
            Proxy("127.0.0.1", urlsplit(hub.url).port or 0) as line:
        box = hub.box(hub.site(S1="sheep"))
        box.sync()
        opening, cuts = box.opening(), 0
        for way in ("up", "down"):
            at = 0
            while True:
                at += step
                key = new_id()
                box.write("sacrifice", key, opening)
                blob_id = box.seal(os.urandom(2000))
                line.cut_after(**{way: at})
                is_whole = attempt(box, line)
                cuts += not is_whole
                line.heal()
                while not attempt(box, line):
                    pass
                assert blob_id in box.sent_blobs
                if is_whole:
                    break
        assert cuts > 2
        assert box.parked == {}
        assert box.held() == list(range(1, len(box.chain.ops) + 1))
        assert len(box.sent_blobs) == len(set(box.sent_blobs)) == len(box.blobs)
        arrived = hub.sql("SELECT count(*) FROM uploads.blobs WHERE arrived IS NOT NULL")
        assert arrived == [len(box.blobs)]


def attempt(box: Any, line: Proxy) -> bool:
    """Whether a session came to its end."""
    with client(Settings(data=""), f"http://127.0.0.1:{line.port}") as http:
        try:
            drive(box.session.run(), lambda call: send(http, call))
        except QurbaniError as error:
            if not error.retry:
                raise
            return False
    return True
