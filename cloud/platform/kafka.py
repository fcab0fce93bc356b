"""Kafka: how this hub produces and consumes. The outbox is the truth; a broker may be wiped at any time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cloud.platform.settings import Settings

DEAD = ".dlq"
"""What stands behind a topic's name for its messages that failed for good."""

STOP_S = 5.0


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer whose sends are acknowledged by every in-sync replica, or fail within seconds."""
    client = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", request_timeout_ms=5_000)
    try:
        await client.start()
        yield client
    finally:
        await _stop(client)


@asynccontextmanager
async def consumer(settings: Settings, topics: Iterable[str], group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of ``group`` that commits nothing by itself and begins at the oldest message."""
    client = AIOKafkaConsumer(
        *(settings.kafka_prefix + topic for topic in topics),
        bootstrap_servers=settings.kafka,
        group_id=settings.kafka_prefix + group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=settings.kafka_session_ms,
        heartbeat_interval_ms=settings.kafka_session_ms // 4,
    )
    try:
        await client.start()
        yield client
    finally:
        await _stop(client)


async def _stop(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    # A consumer that stops while its broker is down lets its own fetch's CancelledError out (aiokafka 0.14),
    # and a producer waits for what it can no longer deliver. In a task of its own neither reaches the caller.
    await asyncio.wait([asyncio.ensure_future(client.stop())], timeout=STOP_S)


async def create_topics(settings: Settings, topics: Iterable[str]) -> None:
    """Create those of ``topics`` and of their dead-letter topics that are missing."""
    wanted = [settings.kafka_prefix + topic + ending for topic in sorted(topics) for ending in ("", DEAD)]
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, request_timeout_ms=5_000)
    try:
        await admin.start()
        missing = set(wanted) - set(await admin.list_topics())
        if missing:
            await admin.create_topics([
                NewTopic(name, settings.kafka_partitions, settings.kafka_replicas) for name in sorted(missing)
            ])  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            await admin.close()


async def reachable(settings: Settings) -> None:
    """Raises where the broker does not answer a metadata request."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, request_timeout_ms=2_000)
    try:
        await admin.start()
    finally:
        await admin.close()
