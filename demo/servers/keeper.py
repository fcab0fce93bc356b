"""The process that starts a set of servers and stops them when the owner of their folder releases it or dies.

``python -m demo.servers.keeper FOLDER RUN``. It leaves the session and the process group of whoever starts it, so
neither Ctrl-C nor the end of that process reaches it. It closes its output when the servers answer; what it wrote
before that is the reason why they do not.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import msgspec

from demo.servers import kafka, mqtt, postgres, redis
from demo.servers.folder import READY, wait_for_owner
from demo.servers.server import ANSWER_S, Server
from shared.errors import QurbaniError
from shared.files import write_whole

NOUNS: dict[str, ModuleType] = {
    # PostgreSQL is last because it takes longest: the others come up meanwhile.
    "QURBANI_KAFKA": kafka,
    "QURBANI_MQTT_URL": mqtt,
    "QURBANI_REDIS_URL": redis,
    "QURBANI_DATABASE_URL": postgres,
}


def main(folder: Path, run: str) -> int:
    if os.fork():
        return 0
    os.setsid()
    foreign = {variable: os.environ[variable] for variable in NOUNS if os.environ.get(variable)}
    servers: list[Server] = []
    try:
        try:
            addresses = foreign | _start(folder, servers, foreign)
        except QurbaniError as error:
            print(error.line())
            return 1
        found = {"run": run, "folder": str(folder), "foreign": list(foreign), **addresses}
        write_whole(folder / READY, [msgspec.json.encode(found)])
        _close_output(folder / "keeper.log")
        wait_for_owner(folder)
    finally:
        for server in servers:
            server.stop()
    _leave_nothing(folder, run, foreign)
    return 0


def _start(folder: Path, servers: list[Server], foreign: Mapping[str, str]) -> dict[str, str]:
    """Start what is not ``foreign``, append it to ``servers`` and return its addresses once all of it answers."""
    addresses = {}
    for variable, noun in NOUNS.items():
        if variable in foreign:
            _reach(variable, foreign[variable])
        else:
            addresses[variable], server = noun.start(folder)
            servers.append(server)
    for server in servers:
        server.wait()
    return addresses


def _reach(variable: str, address: str) -> None:
    url = urlsplit(address if "//" in address else f"//{address.split(',')[0]}")
    default = {"postgresql": 5432, "redis": 6379, "mqtt": 1883}.get(url.scheme, 9092)
    try:
        socket.create_connection((url.hostname, url.port or default), ANSWER_S).close()
    except OSError as error:
        raise QurbaniError("unavailable", f"{variable}: nothing answers at {url.hostname}: {error}") from error


def _leave_nothing(folder: Path, run: str, foreign: Mapping[str, str]) -> None:
    """Remove the folder and what a killed owner left on servers that stay; one that fails does not stop the rest."""
    with ExitStack() as work:
        work.callback(shutil.rmtree, folder, ignore_errors=True)
        for variable, address in foreign.items():
            work.callback(NOUNS[variable].forget, address, run)


def _close_output(log: Path) -> None:
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
