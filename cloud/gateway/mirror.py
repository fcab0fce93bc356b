"""Copies what the hub's services tell each other into the live log, from where every process of the gateway reads it.

It notes nothing in the database: an event that comes twice is one more look at a page. Its place in each topic is kept
by the broker, and only moved when the log has what came before it; so while Redis is away it waits.
"""

from __future__ import annotations

from aiokafka import ConsumerRecord

from cloud.gateway import log
from cloud.platform import kafka
from cloud.platform.core import Platform
from shared.errors import QurbaniError
from shared.events import TOPICS, NotificationWanted, OrderChanged, decode

GROUP = "gateway"


async def live(platform: Platform) -> None:
    """Copy until a helper fails, which raises."""
    await kafka.create_topics(platform.settings, TOPICS)
    async with kafka.consumer(platform.settings, TOPICS, GROUP) as consumer:
        while True:
            batches = await consumer.getmany(timeout_ms=1_000)
            entries = [entry for records in batches.values() for record in records if (entry := _entry(record))]
            if entries:
                await log.append(platform.redis, entries)
            await kafka.commit(consumer, batches)


def _entry(record: ConsumerRecord[bytes, bytes]) -> log.Entry | None:
    """None for what fits no schema: whoever has to do something about that lays it aside."""
    try:
        event, data = decode(record.value or b"")
    except QurbaniError:
        return None
    match data:
        case OrderChanged() | NotificationWanted():
            return log.Entry(event.type, str(data.order_id or ""), str(data.donor_id))
        case _:
            return log.Entry(event.type, str(data.video_id))
