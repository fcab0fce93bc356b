"""What tests/conftest.py promises every test."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from demo.servers import Servers

DOCUMENTATION = "192.0.2.1"
"""An address that nobody has (RFC 5737)."""


def test_no_test_gets_off_this_machine() -> None:
    with socket.socket() as tcp, pytest.raises(RuntimeError, match=DOCUMENTATION):
        tcp.connect((DOCUMENTATION, 80))
    with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(RuntimeError, match=DOCUMENTATION):
        udp.sendto(b"hello", (DOCUMENTATION, 53))
    with pytest.raises(RuntimeError, match="wants to reach"):
        socket.getaddrinfo("example.org", 443)


async def test_no_event_loop_gets_off_this_machine() -> None:
    with pytest.raises(RuntimeError, match=DOCUMENTATION):
        await asyncio.open_connection(DOCUMENTATION, 80)


def test_servers_are_shared_by_the_whole_run(servers: Servers, pytestconfig: pytest.Config) -> None:
    told = getattr(pytestconfig, "workerinput", {}).get("servers", servers.folder)
    assert servers.folder == told
    assert Servers.join(Path(servers.folder)) == servers
