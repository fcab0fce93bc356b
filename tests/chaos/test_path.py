"""kill -9 of box and hub, again and again, while three sacrifices go the whole way; then count."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest

from cloud import main
from cloud.admin.service import Break
from cloud.platform.settings import Settings
from demo.process import Process
from demo.servers import Room
from demo.story import Story
from shared import settings


def run_while_killing(
    act: Callable[[], None], victims: Sequence[Process], rng: random.Random, *, kills: int, every_s: float
) -> int:
    """Run ``act`` and meanwhile kill and restart ``victims`` at random moments; returns how often."""
    done = 0
    # The act has the thread: a process lives only as long as the thread that started it, so we start them here.
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        while done < kills and not acting.done():
            time.sleep(rng.uniform(0.05, every_s))
            if acting.done():
                break
            victim = rng.choice(victims)
            victim.kill()
            victim.start()
            done += 1
        acting.result()
    return done


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 22))])
def test_nothing_is_lost_and_nothing_happens_twice(seed: int, room: Room, tmp_path: Path) -> None:
    rng = random.Random(seed)
    with Story(room, tmp_path, None, print) as story:
        story.open_hub()
        story.take_orders()
        story.open_box()
        # The uploads and the checks take some seconds: short intervals at first hit the uploads, later ones the checks.
        kills = run_while_killing(story.record_while_offline, [story.box], rng, kills=1, every_s=2)
        kills += run_while_killing(story.reconnect, [story.box, story.hub], rng, kills=1, every_s=2)
        kills += run_while_killing(story.process, [story.hub, story.box], rng, kills=1, every_s=3)
        story.tell_donors()
        story.watch()
        assert kills >= 2, "the acts were over before they could be disturbed"
        assert [check for check in story.checks if not check.is_true] == []
        breaks: list[Break] = []
        environ = room.environ() | {"QURBANI_DATA": str(tmp_path / "elsewhere")}
        asyncio.run(main.reconcile(settings.load(Settings, environ), timedelta(0), breaks.append))
        assert {each.kind for each in breaks} <= {"review_waits"}
        # A worker that dies after the server's 250 sends again under the same Message-ID.
        mails = {message_from_bytes(path.read_bytes())["Message-ID"] for path in (tmp_path / "mail").glob("*.eml")}
        assert len(mails) == len(story.donors) + 1  # each had to confirm an address, one sacrifice is done
