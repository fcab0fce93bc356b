"""Bells between the processes of a box. A bell says "look", never what to see: a lost one costs seconds.

Each process publishes on a socket of its own in the data folder and listens to the others', so that none of
them has to be there first and any of them may be killed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import zmq

from shared.errors import QurbaniError

PROCESSES = ("api", "worker", "agent", "recorder")

JOB = "job"
"""There is work in the ledger."""
OP = "op"
"""There is something to send."""
VERDICT = "verdict"
"""A video was judged."""
FEED = "feed"
"""The hub had news."""
CLAIM = "claim"
"""A tablet took an animal, or left it."""
RECORD = "record"
"""A camera is to record, or to stop; or it has."""

# sockaddr_un.sun_path, with its final zero.
_MAX_PATH = 107


class Bell:
    """Rings for everybody who listens. May be shared by threads."""

    def __init__(self, folder: Path, process: str) -> None:
        address = _address(folder, process)
        self._lock = threading.Lock()
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(address)

    def ring(self, *topics: str) -> None:
        with self._lock:
            for topic in topics:
                self._socket.send_string(topic, zmq.NOBLOCK)

    def close(self) -> None:
        self._socket.close()


class Ear:
    """Hears the bells of the named topics, from one thread or event loop."""

    def __init__(self, folder: Path, topics: Sequence[str]) -> None:
        addresses = [_address(folder, process) for process in PROCESSES]
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        for topic in topics:
            self._socket.subscribe(topic)
        for address in addresses:
            self._socket.connect(address)

    def wait(self, seconds: float) -> set[str]:
        """The topics that rang, or nothing after ``seconds``; a burst of bells is one answer."""
        heard: set[str] = set()
        while self._socket.poll(0 if heard else int(seconds * 1000)):
            heard.add(self._socket.recv_string())
        return heard

    def close(self) -> None:
        self._socket.close(linger=0)


def check(folder: Path) -> None:
    """Raises ``misconfigured`` when the sockets of the bells do not fit into this folder."""
    for process in PROCESSES:
        _address(folder, process)


def _address(folder: Path, process: str) -> str:
    path = folder / f"{process}.bus"
    if len(str(path)) > _MAX_PATH:
        raise QurbaniError("misconfigured", f"QURBANI_DATA is too deep a folder: {path} exceeds {_MAX_PATH} characters")
    return f"ipc://{path}"
