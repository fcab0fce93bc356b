"""A bad link: a TCP proxy that can refuse, fall silent, break after a given byte, be slow and lose pieces.

``up`` is from the client to the target, ``down`` is back. Everything may be called from any thread::

    with Proxy("127.0.0.1", hub_port) as link:      # or: async with
        box = start_box(hub=f"http://127.0.0.1:{link.port}")
        link.cut()
        ...
        link.heal()
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import random
import socket
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from typing import Self

HOST = "127.0.0.1"

CHUNK = 16_384
SMALLEST_CHUNK = 512
SLICES_PER_S = 20
"""A limited link passes on so many pieces in a second, so that it flows and does not jump."""
IN_FLIGHT = 64
"""Chunks under way in one direction of a connection before the sender has to wait."""
DELIVERY_S = 5.0
"""How long the last byte before a break may take to be acknowledged by its receiver."""


class Direction:
    """One way of the link, shared by all connections: its limits, and what has gone through."""

    def __init__(self) -> None:
        self.bytes = 0
        """Delivered so far."""
        self.bandwidth: float | None = None
        """Bytes a second, or None for no limit."""
        self.latency = 0.0
        """Seconds that every byte is under way."""
        self.loss = 0.0
        """The share of pieces that are lost on the way, and hold up those behind them until they have come again."""
        self.again = 0.0
        """Seconds until a lost piece has come again; TCP takes a round trip or more."""
        self.left: int | None = None
        """Bytes that may still pass before the link breaks, or None."""
        self._free_at = 0.0
        self._chance = random.Random(9600)  # noqa: S311 - bad luck, not a secret

    def chunk(self) -> int:
        """How much to read at once, in bytes."""
        if self.bandwidth is None:
            return CHUNK
        return min(CHUNK, max(SMALLEST_CHUNK, int(self.bandwidth / SLICES_PER_S)))

    def arrival(self, size: int, now: float) -> float:
        """When ``size`` bytes that are sent now have arrived: after those before them, and the way."""
        self._free_at = max(now, self._free_at)
        if self.bandwidth is not None:
            self._free_at += size / self.bandwidth
        while self._chance.random() < self.loss:
            self._free_at += self.again
        return self._free_at + self.latency

    def take(self, data: bytes) -> bytes:
        """The part of ``data`` that passes before the break."""
        if self.left is None:
            return data
        passing = data[: self.left]
        self.left -= len(passing)
        return passing


class Proxy:
    """The link to ``host:port``; clients connect to ``127.0.0.1:self.port``. ``target`` may be changed at any time."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.up, self.down = Direction(), Direction()
        self.connections = 0
        """Accepted so far."""
        # Bound for as long as the proxy lives, so that nobody takes the port while the link refuses.
        self._reserved = _bind(0)
        self.port: int = self._reserved.getsockname()[1]
        self._listener: socket.socket | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_cut = threading.Event()

    # The link's moods

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._apply(self._cut)

    def black_hole(self) -> None:
        """Pass nothing on, without a word to either side: a new connection is not answered, an old one stays open."""
        self._apply(lambda: self._flowing.clear())

    def heal(self) -> None:
        """Let everything through again, what waited in a black hole too. Limits of speed stay."""
        self._apply(self._heal)

    def cut_after(self, *, up: int | None = None, down: int | None = None) -> None:
        """Break the link as ``cut`` does when exactly so many more bytes have been delivered that way."""
        self.up.left, self.down.left = up, down

    def wait_until_cut(self, timeout: float) -> bool:
        """Whether the link breaks within ``timeout`` seconds. Blocks: not for the event loop that the proxy runs in."""
        return self._is_cut.wait(timeout)

    # Its life

    async def __aenter__(self) -> Self:
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._flowing = asyncio.Event()
        self._heal()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reserved.close()

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._live(started),), daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._apply(self._ended.set)
        self._thread.join()

    async def _live(self, started: threading.Event) -> None:
        self._ended = asyncio.Event()
        async with self:
            started.set()
            await self._ended.wait()

    def _apply(self, change: Callable[[], object]) -> None:
        """Run ``change`` in the proxy's event loop; it is done when this returns."""
        if threading.get_ident() == self._loop_thread:
            change()
            return

        async def apply() -> None:
            change()

        asyncio.run_coroutine_threadsafe(apply(), self._loop).result()

    def _heal(self) -> None:
        self.cut_after()
        self._is_cut.clear()
        self._flowing.set()
        if self._listener is None:
            self._listener = _bind(self.port)
            self._listener.listen()
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _cut(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for writer in self._writers:
            _reset(writer)
        self._is_cut.set()

    # A connection

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client, _ = listener.accept()
            task = self._loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        self.connections += 1
        near_reader, near = await asyncio.open_connection(sock=client)
        with self._known(near):
            await self._flowing.wait()
            try:
                far_reader, far = await asyncio.open_connection(*self.target)
            except OSError:
                _reset(near)
                return
            with self._known(far):
                try:
                    if self._is_cut.is_set() or near.is_closing():
                        raise ConnectionResetError("the link was cut while this connection was being made")
                    async with asyncio.TaskGroup() as ways:
                        ways.create_task(self._carry(near_reader, far, self.up))
                        ways.create_task(self._carry(far_reader, near, self.down))
                except* OSError:
                    # What one side has seen the other sees, too.
                    _reset(near)
                    _reset(far)

    @contextlib.contextmanager
    def _known(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """Have ``cut`` find this connection; closed at the end."""
        writer.transport.set_write_buffer_limits(0)
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._collect(reader, under_way, way))
            ends.create_task(self._deliver(under_way, writer, way))

    async def _collect(
        self, reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]], way: Direction
    ) -> None:
        data = b"more"
        while data:
            await self._flowing.wait()
            data = await reader.read(way.chunk())
            await under_way.put((way.arrival(len(data), self._loop.time()), data))

    async def _deliver(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, way: Direction
    ) -> None:
        while True:
            arrival, data = await under_way.get()
            await asyncio.sleep(arrival - self._loop.time())
            await self._flowing.wait()
            if not data:
                writer.write_eof()
                return
            passing = way.take(data)
            writer.write(passing)
            await writer.drain()
            way.bytes += len(passing)
            if way.left == 0:
                await _acknowledged(writer)
                self._cut()
                return


def _bind(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    bound.bind((HOST, port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN: that is what SO_LINGER with no time means."""
    with contextlib.suppress(OSError):
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def _acknowledged(writer: asyncio.StreamWriter) -> None:
    """Wait until the receiver has everything: a reset drops what is still in our send queue (tcp(7), SIOCOUTQ)."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(DELIVERY_S):
            socket_number = writer.get_extra_info("socket").fileno()
            while any(fcntl.ioctl(socket_number, termios.TIOCOUTQ, bytes(4))):  # noqa: ASYNC110 the kernel tells nobody
                await asyncio.sleep(0.001)
