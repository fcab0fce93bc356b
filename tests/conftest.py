"""Fixtures for everybody: real servers, started when the first test asks and shared by all workers, and no network."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest

import edge  # noqa: F401 - first of all: one SQLite library for the whole process, also for what others import
from demo.servers import Room, Servers
from demo.servers.folder import Folder

FOLDER = pytest.StashKey[Folder]()

FOREIGN = ("QURBANI_DATABASE_URL", "QURBANI_REDIS_URL", "QURBANI_KAFKA", "QURBANI_MQTT_URL")
"""The addresses of servers that are there already; the tests then use those."""


# A change is judged by the same examples every time; whoever hunts for new ones runs the tests by hand.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    _forbid_network()
    if not hasattr(config, "workerinput"):
        config.stash[FOLDER] = Folder.claim()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist where the servers live. They end with the run, not with the first worker."""
    node.workerinput["servers"] = str(node.config.stash[FOLDER].path)


def pytest_unconfigure(config: pytest.Config) -> None:
    if FOLDER in config.stash:
        config.stash[FOLDER].release()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.services)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    """The run's servers. A test wants a room in them, or one of the fixtures below, and not the bare addresses."""
    told = getattr(pytestconfig, "workerinput", {}).get("servers")
    return Servers.join(Path(told) if told else pytestconfig.stash[FOLDER].path)


@pytest.fixture
def room(servers: Servers) -> Iterator[Room]:
    """A database, a Redis database and prefixes of the test's own; ``room.environ()`` is for child processes."""
    with servers.room() as room:
        yield room


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """A fresh PostgreSQL database, dropped after the test."""
    with servers.database() as url:
        yield url


@pytest.fixture
def redis_url(servers: Servers) -> Iterator[str]:
    """An empty Redis database, flushed after the test."""
    with servers.redis_database() as url:
        yield url


@pytest.fixture
def kafka(servers: Servers) -> str:
    """The broker's ``host:port``; use it with ``kafka_prefix``."""
    return servers.kafka


@pytest.fixture
def kafka_prefix(servers: Servers) -> str:
    """What the names of the test's topics and groups begin with."""
    return servers.kafka_prefix()


@pytest.fixture
def mqtt_url(servers: Servers) -> str:
    """The broker's address; use it with ``mqtt_prefix``."""
    return servers.mqtt_url


@pytest.fixture
def mqtt_prefix(servers: Servers) -> str:
    """What the names of the test's topics begin with."""
    return servers.mqtt_prefix()


def _forbid_network() -> None:
    """Make every attempt fail to reach another machine, except the servers that ``QURBANI_*`` names."""
    allowed = {"localhost", socket.gethostname(), "", None} | _foreign_hosts()

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = arguments[0]
        elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        else:
            return
        name = host.decode() if isinstance(host, bytes) else host
        if name not in allowed and not _is_loopback(name):
            raise RuntimeError(f"tests stay on this machine, and this one wants to reach {name}")

    sys.addaudithook(check)


def _foreign_hosts() -> set[str]:
    """The names of the given servers, and the addresses that they have now."""
    addresses = (os.environ.get(variable, "") for variable in FOREIGN)
    names = {urlsplit(address if "//" in address else f"//{address}").hostname for address in addresses} - {None}
    return names | {str(found[4][0]) for name in names for found in socket.getaddrinfo(name, None)}


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
