"""A worker that is killed in the middle of a video: another does the work again, and it was done once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud import main
from cloud.alembic.migrations import migrate
from cloud.platform.settings import Settings
from demo.answers import wait_for
from demo.mailbox import Mailbox
from demo.process import Process
from demo.servers import Room
from tests.cloud_hub import CloudHub, hub_settings, running
from tests.filmed import Filmed, clip


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    with Mailbox(tmp_path / "mail") as mailbox:
        yield mailbox


@pytest.fixture
def quick(room: Room, tmp_path: Path, mailbox: Mailbox) -> Settings:
    """A dead worker's job is free after a second."""
    settings = hub_settings(room, tmp_path / "hub", QURBANI_SMTP_URL=mailbox.url, QURBANI_LEASE_S="1")
    asyncio.run(migrate(settings))
    return settings


def worker(hub: CloudHub, log: Path) -> Process:
    settings: Settings = hub.platform.settings
    environ = {f"QURBANI_{name.upper()}": str(getattr(settings, name)) for name in settings.__struct_fields__}
    return Process("cloud", "work", environ=environ, log=log)


def killed(hub: CloudHub, film: Filmed, attempt: int, after_s: float, log: Path) -> None:
    """Let a worker begin the video, and kill it ``after_s`` seconds later."""
    process = worker(hub, log)
    begun = "SELECT 1 FROM platform.jobs WHERE queue = 'videoUpload' AND state = 'running' AND attempts = :attempt"
    try:
        wait_for("a worker to begin", lambda: hub.sql(begun, attempt=attempt), every_s=0.01)
        time.sleep(after_s)
    finally:
        process.kill()


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_the_copies_are_made_once(quick: Settings, mailbox: Mailbox, tmp_path: Path, kills: int) -> None:
    chance, log = random.Random(kills), tmp_path / "worker.log"
    with running(quick, main.relay, main.consume) as hub:
        film = Filmed(hub, "Ahmed Benali", content=clip(seconds=12))
        film.tell()
        film.judge()
        film.send()
        for attempt in range(1, kills + 1):
            killed(hub, film, attempt, chance.uniform(0.02, 0.15), log)
        assert film.state() == "arrived", "the worker was done before it was killed"
        with worker(hub, log):
            mailbox.wait_for(film.is_told_by, 60)
        jobs = "SELECT state, attempts FROM platform.jobs WHERE queue = 'videoUpload' AND key = :id"
        assert hub.sql(jobs, id=str(film.video)) == [("done", kills + 1)]
        assert film.events("video.uploaded-preprocessed") == 1
        copies = hub.sql("SELECT variant FROM uploads.copies WHERE video_id = :id ORDER BY variant", id=film.video)
        assert copies == ["compressed", "messenger", "original", "poster"]
        assert film.order_state() == "verified"
        assert hub.breaks() == []
    assert len(mailbox.messages) == 1
    assert unsealed(tmp_path / "hub") == []
    assert list((tmp_path / "hub" / "parts").iterdir()) == []


def unsealed(data: Path) -> list[Path]:
    """Files that hold something of a video that can be read."""
    signs = (b"ftyp", b"moov", b"JFIF")
    return [path for path in data.rglob("*") if path.is_file() and any(sign in path.read_bytes() for sign in signs)]
