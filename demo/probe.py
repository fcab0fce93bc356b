"""Looks into the systems themselves: rows, events, pictures. It takes no program's word for what it did."""

from __future__ import annotations

import asyncio
import io
import secrets

import asyncpg
import av
from aiokafka import AIOKafkaConsumer

from demo.servers import Room

QUIET_MS = 1500
"""A topic that gives nothing for this long has given everything."""


def count(room: Room, table: str, where: str = "true") -> int:
    """How many rows of ``schema.table`` there are; 0 where the table is not there yet."""

    async def ask() -> int:
        connection = await asyncpg.connect(room.database_url)
        try:
            found: int = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608
            return found
        finally:
            await connection.close()

    return asyncio.run(ask())


def events(room: Room, topic: str) -> list[bytes]:
    """Every message that the broker holds for a topic, oldest first in each partition."""

    async def read() -> list[bytes]:
        consumer = AIOKafkaConsumer(
            room.kafka_prefix + topic,
            bootstrap_servers=room.kafka,
            group_id=None,
            client_id=f"probe-{secrets.token_hex(4)}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            found = []
            while batch := await consumer.getmany(timeout_ms=QUIET_MS):
                found += [record.value for records in batch.values() for record in records]
            return found
        finally:
            await consumer.stop()

    return asyncio.run(read())


def plays(video: bytes) -> bool:
    """Whether every picture of it can be decoded, and there is at least one."""
    try:
        with av.open(io.BytesIO(video)) as opened:
            return sum(1 for _ in opened.decode(video=0)) > 0
    except av.error.FFmpegError:
        return False
