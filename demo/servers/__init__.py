"""Real servers with nothing installed: PostgreSQL, Redis, a Kafka-protocol broker and an MQTT broker out of wheels.

Each is replaced by a real one when its ``QURBANI_*`` address is set. The demo and the tests share this code::

    with Servers.start() as servers, servers.room() as room:
        subprocess.run(["qurbani", "cloud", "serve"], env=os.environ | room.environ())
"""

from __future__ import annotations

import fcntl
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from demo.servers import kafka, mqtt, postgres, redis
from demo.servers.folder import READY, Folder
from shared.errors import QurbaniError


class Room(msgspec.Struct, frozen=True):
    """A place of one's own on the servers: a fresh database, an empty Redis database, prefixes for topics."""

    database_url: str
    redis_url: str
    kafka: str
    kafka_prefix: str
    kafka_session_ms: int
    mqtt_url: str
    mqtt_prefix: str

    def environ(self) -> dict[str, str]:
        """The settings of a hub or box that is to live in this room."""
        return {f"QURBANI_{field.upper()}": str(value) for field, value in msgspec.structs.asdict(self).items()}


class Servers(msgspec.Struct, frozen=True):
    """The addresses of a running set, and rooms in it."""

    run: str
    """What everything is named after that this set makes on a server."""
    folder: str
    """Where the servers keep their data and logs."""
    foreign: list[str]
    """The variables whose servers were there already."""
    database_url: str = msgspec.field(name="QURBANI_DATABASE_URL")
    redis_url: str = msgspec.field(name="QURBANI_REDIS_URL")
    kafka: str = msgspec.field(name="QURBANI_KAFKA")
    mqtt_url: str = msgspec.field(name="QURBANI_MQTT_URL")

    @classmethod
    @contextmanager
    def start(cls, environ: Mapping[str, str] = os.environ) -> Iterator[Servers]:
        """A set that lives as long as this block and, if that is killed, not longer than this process.

        Addresses in ``environ`` replace servers of the set. Raises ``unavailable`` or ``missing_extra``.
        """
        folder = Folder.claim()
        try:
            yield cls.join(folder.path, environ)
        finally:
            folder.release()

    @classmethod
    def join(cls, folder: Path, environ: Mapping[str, str] = os.environ) -> Servers:
        """The set in a folder that someone has claimed; the first to come starts it."""
        with (folder / "starting").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not (folder / READY).exists():
                _keep(folder, environ)
        return msgspec.json.decode((folder / READY).read_bytes(), type=cls)

    @contextmanager
    def room(self) -> Iterator[Room]:
        with self.database() as database_url, self.redis_database() as redis_url:
            yield Room(
                database_url=database_url,
                redis_url=redis_url,
                kafka=self.kafka,
                kafka_prefix=self.kafka_prefix(),
                kafka_session_ms=self.kafka_session_ms,
                mqtt_url=self.mqtt_url,
                mqtt_prefix=self.mqtt_prefix(),
            )

    def database(self, template: str | None = None) -> AbstractContextManager[str]:
        """The URL of a fresh database, dropped at the end; ``template`` is the URL of one to copy (25 ms)."""
        return postgres.database(self.database_url, self.run, template)

    def redis_database(self) -> AbstractContextManager[str]:
        """The URL of an empty Redis database, flushed at the end."""
        return redis.database(self.redis_url, self.run)

    def kafka_prefix(self) -> str:
        """A new prefix for topics and groups."""
        return kafka.prefix(self.run)

    def mqtt_prefix(self) -> str:
        """A new prefix for topics."""
        return mqtt.prefix(self.run)

    @property
    def kafka_session_ms(self) -> int:
        """How long a consumer may be silent: short where joins wait for it, Kafka's usual value elsewhere."""
        return 10_000 if "QURBANI_KAFKA" in self.foreign else kafka.SESSION_MS


def _keep(folder: Path, environ: Mapping[str, str]) -> None:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("QURBANI_")}
    theirs = {name: value for name, value in environ.items() if name.startswith("QURBANI_")}
    run = "q" + secrets.token_hex(4)
    said = subprocess.run(
        [sys.executable, "-m", "demo.servers.keeper", folder, run],
        env=ours | theirs, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    ).stdout  # fmt: skip
    if not (folder / READY).exists():
        raise QurbaniError("unavailable", said.strip() or "the servers' keeper died")
