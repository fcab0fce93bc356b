"""The agent against a hub on a real port, and against ports where nobody answers as he should."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
import pytest

from edge import node as identity
from edge.agent import Agent, client, send
from edge.blobs import Blobs
from edge.bus import OP, Ear
from edge.capture import Capture, Video
from edge.db import Database
from edge.node import Keys, Node
from edge.outbox import Outbox
from edge.settings import Settings
from shared.clock import ManualClock
from shared.errors import QurbaniError
from shared.ids import new_id
from sync.calls import Call, Reply
from sync.session import Identity, Session
from tests.hub import Hub, serving
from tests.unit.sync.chains import HUB_KEY, NODE, SITE


@pytest.fixture
def node(db: Database) -> Node:
    """The box that the hub of these tests knows."""
    enrolled = Node(NODE, SITE, "box 1", "http://hub.example", HUB_KEY.public.raw, bytes(32))
    identity.save(db, enrolled)
    return enrolled


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    quick = dict.fromkeys(["sync_connect_timeout_s", "sync_read_timeout_s", "sync_write_timeout_s"], 0.2)
    return Settings(data=str(tmp_path), sync_interval_s=60, sync_retry_max_s=8, **quick)


@pytest.fixture
def hub(keys: Keys) -> Iterator[Hub]:
    with serving(Hub()) as hub:
        hub.nodes[NODE] = keys.sign.public
        yield hub


@pytest.fixture
def blobs(tmp_path: Path, keys: Keys) -> Blobs:
    (tmp_path / "blobs").mkdir()
    return Blobs(tmp_path / "blobs", keys.seal)


@pytest.fixture
def http(settings: Settings, hub: Hub) -> Iterator[httpx.Client]:
    with client(settings, hub.url) as http:
        yield http


@pytest.fixture
def agent(outbox: Outbox, keys: Keys, blobs: Blobs, http: httpx.Client, settings: Settings) -> Iterator[Agent]:
    ear = Ear(settings.folder, [OP])
    who = Identity(NODE, keys.sign, HUB_KEY.public)
    yield Agent(Session(who, outbox, blobs, ManualClock(), new_id), outbox, http, ear, settings)
    ear.close()


@pytest.fixture
def outbox(db: Database, keys: Keys, capture: Capture, clock: ManualClock) -> Outbox:
    return Outbox(db, keys, capture, clock)


@pytest.fixture
def films(capture: Capture, blobs: Blobs, sacrifice: UUID, tmp_path: Path) -> list[str]:
    """The blob ids of three recorded videos."""
    ids = []
    for number in range(3):
        content = bytes([number]) * 1000
        (tmp_path / "data").write_bytes(content)
        ids.append(hashlib.sha256(content).hexdigest())
        blobs.keep(tmp_path / "data", ids[-1])
        (tmp_path / "data").unlink()
        capture.keep_video(Video(new_id(), sacrifice, "ab" * 32, 972, ids[-1], 1000, "video/mp4"), new_id())
    return ids


def link_error(db: Database) -> str | None:
    error: str | None = db.rows("SELECT error FROM link")[0]["error"]
    return error


def test_everything_arrives_and_the_next_look_is_an_interval_away(
    agent: Agent, hub: Hub, db: Database, films: list[str], settings: Settings
) -> None:
    assert agent.once() == settings.sync_interval_s
    assert sorted(hub.arrived) == sorted(films)
    assert len(hub.ops) == 5
    assert link_error(db) is None
    assert agent.once() == settings.sync_interval_s
    assert len(hub.arrived) == 3


def test_a_lost_file_holds_up_nothing_else(
    agent: Agent, hub: Hub, db: Database, films: list[str], blobs: Blobs
) -> None:
    blobs.drop(films[0])
    agent.once()
    assert sorted(hub.arrived) == sorted(films[1:])
    assert len(hub.ops) == 5
    assert link_error(db) == f"damaged: the blob {films[0]} is not on the disk"


def test_patience_grows_up_to_its_limit_and_ends_with_success(
    agent: Agent, hub: Hub, http: httpx.Client, db: Database, films: list[str], settings: Settings
) -> None:
    http.base_url = httpx.URL("http://127.0.0.1:1")
    waits = [agent.once() for _ in range(12)]
    assert all(0 <= wait <= min(settings.sync_retry_max_s, 2**n) for n, wait in enumerate(waits))
    assert max(waits) > 1
    assert (link_error(db) or "").startswith("unavailable")
    http.base_url = httpx.URL(hub.url)
    assert agent.once() == settings.sync_interval_s
    assert link_error(db) is None


def test_what_the_hub_asks_for_is_waited_out(agent: Agent, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = QurbaniError("too_many_requests").problem()
    answer = Reply(429, {"content-type": "application/problem+json", "retry-after": "1"}, msgspec.json.encode(busy))
    monkeypatch.setattr(hub, "answer", lambda call: answer)
    started = time.monotonic()
    assert 0 <= agent.once() <= 1
    assert time.monotonic() - started >= 1


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """Takes connections and neither reads nor answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        yield server


@pytest.mark.parametrize(("phase", "body"), [("Read", b""), ("Write", bytes(64 << 20))])
def test_a_hub_that_falls_silent_is_given_up(
    deaf: socket.socket, settings: Settings, phase: str, body: bytes
) -> None:
    assert_gives_up(deaf, settings, phase, body)


def test_a_hub_that_takes_no_connection_is_given_up(deaf: socket.socket, settings: Settings) -> None:
    """Its queue is full, so that the kernel drops what knocks."""
    waiting = [socket.socket() for _ in range(3)]
    for knocking in waiting:
        knocking.setblocking(False)
        knocking.connect_ex(deaf.getsockname())
    assert_gives_up(deaf, settings, "Connect", b"")
    for knocking in waiting:
        knocking.close()


def assert_gives_up(deaf: socket.socket, settings: Settings, phase: str, body: bytes) -> None:
    """Within the limit of that phase, while all the other limits are long."""
    long = {f"sync_{each}_timeout_s": 60.0 for each in ("connect", "read", "write") if each != phase.lower()}
    host, port = deaf.getsockname()
    with client(msgspec.structs.replace(settings, **long), f"http://{host}:{port}") as http:
        started = time.monotonic()
        with pytest.raises(QurbaniError, match=f"unavailable.*{phase}Timeout"):
            send(http, Call("POST", "/", {}, body))
        assert time.monotonic() - started < 10
