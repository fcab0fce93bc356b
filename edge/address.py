"""Where a box is reached by the tablets of its site."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address

import msgspec

from edge import tls
from edge.settings import Settings
from shared.errors import QurbaniError
from shared.files import write_whole


def listen(settings: Settings) -> list[socket.socket]:
    """Where the API listens, and with TLS the door. Plain HTTP stays inside this machine."""
    ports = [settings.edge_port, *([settings.edge_door_port] if settings.edge_tls else [])]
    listening = [_listen(settings.edge_host, port) for port in ports]
    if not settings.edge_tls and not ip_address(listening[0].getsockname()[0]).is_loopback:
        raise QurbaniError("misconfigured", "QURBANI_EDGE_TLS: without TLS, QURBANI_EDGE_HOST must be 127.0.0.1")
    return listening


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        detail = f"QURBANI_EDGE_HOST, _PORT, _DOOR_PORT: cannot listen on {host}:{port}: {error}"
        raise QurbaniError("misconfigured", detail) from error


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a running box is reached.

    With TLS: the ``door`` for tablets that do not trust it yet, the file of the ``authority`` that they have to
    trust, and its ``fingerprint``.
    """

    url: str
    pid: int
    door: str = ""
    authority: str = ""
    fingerprint: str = ""


def write(settings: Settings, listening: list[socket.socket], authority: tls.Authority | None) -> Address:
    """Tell whoever looks into the data folder."""
    host = tls.reached_at(listening[0].getsockname()[0])
    ports = [each.getsockname()[1] for each in listening]
    found = Address(f"http://{host}:{ports[0]}", os.getpid())
    if authority is not None:
        write_whole(settings.authority, [authority.pem], mode=0o644)
        inside, door = f"https://{host}:{ports[0]}", f"http://{host}:{ports[1]}"
        found = Address(inside, os.getpid(), door, str(settings.authority), authority.fingerprint)
    write_whole(settings.address, [msgspec.json.encode(found)])
    return found


def read(settings: Settings) -> Address | None:
    """None while nothing runs."""
    try:
        return msgspec.json.decode(settings.address.read_bytes(), type=Address)
    except FileNotFoundError:
        return None
