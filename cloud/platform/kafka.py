"""Kafka: how this hub produces and consumes. The outbox is the truth; a broker may be wiped at any time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CommitFailedError

from cloud.platform.settings import Settings

log = structlog.get_logger()

DEAD = ".dlq"
"""What stands behind a topic's name for its messages that failed for good."""

STOP_S = 5.0

BATCH_BYTES = 512 << 10
"""For one partition in one request. Of what does not fit, every sender wakes up at every acknowledgement (aiokafka's
own 16 KiB let a relay spend its time on that); a broker takes 1 MiB."""


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer whose sends are acknowledged by every in-sync replica, or fail within seconds."""
    client = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, acks="all", request_timeout_ms=5_000, max_batch_size=BATCH_BYTES
    )
    try:
        await client.start()
        yield client
    finally:
        await _stop(client)


@asynccontextmanager
async def consumer(settings: Settings, topics: Iterable[str], group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of ``group`` that commits nothing by itself and begins at the oldest message."""
    client = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        group_id=settings.kafka_prefix + group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=settings.kafka_session_ms,
        heartbeat_interval_ms=settings.kafka_session_ms // 4,
    )
    client.subscribe([settings.kafka_prefix + topic for topic in topics], listener=_WithinRange(client))
    try:
        await client.start()
        yield client
    finally:
        await _stop(client)


class _WithinRange(ConsumerRebalanceListener):
    """Begins at the oldest message where the group's place is beyond the end, as after a broker lost its messages.

    ``auto_offset_reset`` does that only where the broker complains, and not every broker does.
    """

    def __init__(self, client: AIOKafkaConsumer) -> None:
        self._client = client

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        pass

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        partitions = list(assigned)
        ends = await self._client.end_offsets(partitions)
        lost = [each for each in partitions if (await self._client.committed(each) or 0) > ends[each]]
        if lost:
            await self._client.seek_to_beginning(*lost)


async def commit(consumer: AIOKafkaConsumer, batches: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
    """Let the group's place be after these messages."""
    offsets = {partition: records[-1].offset + 1 for partition, records in batches.items()}
    if offsets:
        try:
            await consumer.commit(offsets)
        except CommitFailedError:
            # The partition went to another member meanwhile, who takes them again: whoever consumes bears that.
            log.info("consumer.rebalanced", partitions=len(offsets))


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


async def ends(settings: Settings, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """The offset that each partition of ``topics``, which there are, will give to its next message."""
    reader = AIOKafkaConsumer(
        *(settings.kafka_prefix + topic for topic in topics), bootstrap_servers=settings.kafka, group_id=None
    )
    try:
        await reader.start()
        found = await reader.end_offsets(reader.assignment())
        return {(place.topic, place.partition): end for place, end in found.items()}
    finally:
        await _stop(reader)


async def reachable(settings: Settings) -> None:
    """Raises where the broker does not answer a metadata request."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, request_timeout_ms=2_000)
    try:
        await admin.start()
    finally:
        await admin.close()
