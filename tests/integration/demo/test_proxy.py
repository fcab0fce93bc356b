"""The bad link: every mood that the chaos tests rely on, seen from real sockets on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from demo.proxy import Proxy

HOST = "127.0.0.1"


class Echo:
    """A server that sends everything back in capitals, and remembers what came."""

    def __init__(self) -> None:
        self.came = bytearray()
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.came += data
                writer.write(data.upper())
                await writer.drain()
            self.ends.put_nowait("FIN")
            writer.write(b" BYE")
        except ConnectionError:
            self.ends.put_nowait("RST")
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, int]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, HOST, 0)
    yield echo, server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def client(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def heard(reader: asyncio.StreamReader, size: int) -> bytes:
    return await asyncio.wait_for(reader.readexactly(size), 10)


async def heard_before_reset(reader: asyncio.StreamReader) -> bytes:
    came = bytearray()
    try:
        while data := await asyncio.wait_for(reader.read(65_536), 10):
            came += data
    except ConnectionResetError:
        return bytes(came)
    pytest.fail("closed without a reset")


async def test_a_good_link_passes_everything_and_counts(echo: tuple[Echo, int]) -> None:
    async with Proxy(HOST, echo[1]) as link, client(link.port) as (reader, writer), client(link.port):
        sent = b"sheep" * 100_000
        writer.write(sent)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(-1), 10) == sent.upper() + b" BYE"
        assert (link.up.bytes, link.down.bytes) == (len(sent), len(sent) + 4)
        assert link.connections == 2
        assert await echo[0].ends.get() == "FIN"


async def test_a_cut_link_resets_and_refuses_and_heals_on_the_same_port(echo: tuple[Echo, int]) -> None:
    async with Proxy(HOST, echo[1]) as link:
        async with client(link.port) as (reader, writer):
            writer.write(b"a")
            assert await heard(reader, 1) == b"A"
            link.cut()
            with pytest.raises(ConnectionResetError):
                await heard(reader, 1)
            assert await echo[0].ends.get() == "RST"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, link.port)
        assert link.wait_until_cut(0)
        link.cut()
        link.heal()
        link.heal()
        async with client(link.port) as (reader, writer):
            writer.write(b"b")
            assert await heard(reader, 1) == b"B"


async def test_a_black_hole_says_nothing_at_all_and_then_goes_on(echo: tuple[Echo, int]) -> None:
    async with Proxy(HOST, echo[1]) as link, client(link.port) as (reader, writer):
        writer.write(b"a")
        assert await heard(reader, 1) == b"A"
        link.black_hole()
        writer.write(b"b")
        async with client(link.port) as (late_reader, late_writer):
            late_writer.write(b"c")
            for silent in (reader, late_reader):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(silent.read(1), 0.2)
            assert echo[0].came == b"a"
            link.heal()
            assert await heard(reader, 1) == b"B"
            assert await heard(late_reader, 1) == b"C"


async def test_a_cut_ends_what_waits_in_a_black_hole(echo: tuple[Echo, int]) -> None:
    async with Proxy(HOST, echo[1]) as link:
        link.black_hole()
        async with client(link.port) as (reader, writer):
            writer.write(b"a")
            await asyncio.sleep(0.05)
            link.cut()
            link.heal()
            with pytest.raises(ConnectionResetError):
                await heard(reader, 1)
        async with client(link.port) as (reader, writer):
            writer.write(b"b")
            assert await heard(reader, 1) == b"B"
        assert echo[0].came == b"b"


@pytest.mark.parametrize("k", [0, 1, 1000, 300_000])
async def test_the_link_breaks_after_exactly_k_bytes_up(echo: tuple[Echo, int], k: int) -> None:
    async with Proxy(HOST, echo[1]) as link, client(link.port) as (reader, writer):
        link.cut_after(up=k)
        writer.write(b"s" * 400_000)
        await heard_before_reset(reader)
        assert await echo[0].ends.get() == "RST"
        assert (len(echo[0].came), link.up.bytes) == (k, k)
        assert link.wait_until_cut(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, link.port)


@pytest.mark.parametrize("k", [0, 1, 1000, 300_000])
async def test_the_link_breaks_after_exactly_k_bytes_down(echo: tuple[Echo, int], k: int) -> None:
    async with Proxy(HOST, echo[1]) as link, client(link.port) as (reader, writer):
        link.cut_after(down=k)
        writer.write(b"s" * 400_000)
        came = await heard_before_reset(reader)
        assert (len(came), link.down.bytes) == (k, k)


async def test_latency_delays_each_way(echo: tuple[Echo, int]) -> None:
    async with Proxy(HOST, echo[1]) as link, client(link.port) as (reader, writer):
        link.up.latency, link.down.latency = 0.1, 0.05
        started = time.monotonic()
        writer.write(b"a")
        assert await heard(reader, 1) == b"A"
        assert time.monotonic() - started >= 0.15


async def test_bandwidth_is_shared_by_all_connections(echo: tuple[Echo, int]) -> None:
    async with Proxy(HOST, echo[1]) as link, client(link.port) as (one, to_one), client(link.port) as (other, to_other):
        link.up.bandwidth = 100_000
        started = time.monotonic()
        for writer in (to_one, to_other):
            writer.write(b"s" * 15_000)
        await asyncio.gather(heard(one, 15_000), heard(other, 15_000))
        assert time.monotonic() - started >= 0.3


async def test_a_target_that_is_away_resets_and_may_move(echo: tuple[Echo, int]) -> None:
    async with Proxy(HOST, 1) as link:
        async with client(link.port) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await heard(reader, 1)
        link.target = (HOST, echo[1])
        async with client(link.port) as (reader, writer):
            writer.write(b"a")
            assert await heard(reader, 1) == b"A"


@pytest.fixture
def echo_thread() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection, contextlib.suppress(ConnectionResetError):
                    while data := connection.recv(100):
                        connection.sendall(data.upper())

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_it_runs_beside_code_that_knows_no_event_loop(echo_thread: int) -> None:
    with Proxy(HOST, echo_thread) as link:
        with socket.create_connection((HOST, link.port)) as connection:
            connection.sendall(b"a")
            assert connection.recv(1) == b"A"
        link.cut()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, link.port))
        link.heal()
        with socket.create_connection((HOST, link.port)) as connection:
            link.cut_after(down=1)
            connection.sendall(b"ab")
            assert link.wait_until_cut(10)
            assert connection.recv(10) == b"A"
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, link.port))
