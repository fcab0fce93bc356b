"""kill -9 between the database and Kafka: every event's effect once, and in order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from sqlalchemy import select, text

from cloud.platform import kafka
from cloud.platform.core import Platform, opened
from cloud.platform.outbox import Outgoing
from demo.servers import Room, Servers
from shared.ids import new_id
from tests.chaos.cloud.reborn import reborn
from tests.cloud_hub import copied_room, hub_settings
from tests.effects import TOPIC, count, effects, eventually, tell

SEED = int(os.environ.get("QURBANI_TEST_SEED", random.SystemRandom().randrange(2**32)))


@pytest.fixture
def place(servers: Servers, template: str) -> Iterator[Room]:
    with copied_room(servers, template) as room:
        yield room


@pytest.fixture
async def platform(place: Room, tmp_path: Path) -> AsyncIterator[Platform]:
    async with opened(hub_settings(place, tmp_path)) as platform:
        async with platform.database.begin() as session:
            await session.execute(text("CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, what text)"))
        await kafka.create_topics(platform.settings, [TOPIC])
        yield platform


@pytest.fixture
def environ(place: Room, tmp_path: Path) -> dict[str, str]:
    return {**place.environ(), "QURBANI_DATA": str(tmp_path), "QURBANI_LEASE_S": "1", "QURBANI_SWEEP_S": "0.3"}


async def test_a_relay_killed_between_the_broker_and_its_mark_sends_again(
    platform: Platform, environ: dict[str, str], tmp_path: Path
) -> None:
    """The mark is held up by a lock on the rows, so the relay dies exactly there."""
    subject = new_id()
    for n in range(3):
        await tell(platform, str(n), subject)
    topic = platform.settings.kafka_prefix + TOPIC
    reader = AIOKafkaConsumer(
        topic, bootstrap_servers=platform.settings.kafka, group_id=None, auto_offset_reset="earliest")
    async with reader, asyncio.timeout(60):
        async with platform.database.begin() as holding:
            await holding.execute(select(Outgoing.id).with_for_update())
            with reborn("relay", environ, tmp_path / "relay.log") as relay:
                sent = [await reader.getone() for _ in range(3)]
                await asyncio.sleep(0.2)
                os.kill(relay.pid, signal.SIGKILL)
        assert await count(platform, "SELECT count(*) FROM platform.outbox WHERE sent IS NOT NULL") == 0
        with reborn("relay", environ, tmp_path / "relay.log"):
            again = [await reader.getone() for _ in range(3)]
            while await count(platform, "SELECT count(*) FROM platform.outbox WHERE sent IS NULL"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    ids = [message.value for message in sent]
    assert [message.value for message in again] == ids
    assert len(set(ids)) == 3

    with reborn("pipeline", environ, tmp_path / "pipeline.log"):
        found = await eventually(platform, 6, seconds=60)
    assert [what for what in found if what.startswith("event")] == ["event 0", "event 1", "event 2"]
    assert sorted(what for what in found if what.startswith("job")) == ["job 0", "job 1", "job 2"]


async def test_events_and_jobs_whose_programs_are_killed_at_random_have_their_effect_once(
    platform: Platform, environ: dict[str, str], tmp_path: Path
) -> None:
    luck = random.Random(SEED)
    subjects = [new_id() for _ in range(4)]
    whats = [f"{n % 4} {n:03}" for n in range(80)]
    with reborn("pipeline", environ, tmp_path / "pipeline.log") as pipeline:
        for round_ in range(4):
            for n in range(round_ * 20, round_ * 20 + 20):
                await tell(platform, whats[n], subjects[n % 4])
            # Some die before they have joined their group, some in the middle of the work.
            await asyncio.sleep(luck.uniform(0.2, 2.5))
            await asyncio.to_thread(pipeline.kill)
        await eventually(platform, 160, seconds=90)
        await asyncio.sleep(0.3)
    found = await effects(platform)
    wanted = [f"{kind} {what}" for kind in ("event", "job") for what in whats]
    assert Counter(found) == Counter(wanted), f"seed {SEED}"
    for subject in range(4):
        in_order = [what for what in found if what.startswith(f"event {subject} ")]
        assert in_order == sorted(in_order), f"seed {SEED}"
