"""Cut, stalled and competing connections; full and broken disks; a hook that fails."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.errors import QurbaniError
from shared.sealed import Bytes
from shared.tus.server import Arrived
from shared.tus.store import Appender, Upload
from tests.integration.tus.live import CHUNK, TUS, Live, make_store

DATA = random.Random(2).randbytes(1_000_000)


def create(http: httpx.Client, live: Live, length: int = len(DATA)) -> str:
    answer = http.post(live.url, headers={"Upload-Length": str(length)})
    return str(httpx.URL(live.url).join(answer.headers["location"]))


def patch(http: httpx.Client, url: str, offset: int, body: bytes) -> httpx.Response:
    return http.patch(url, content=body, headers={**CHUNK, "Upload-Offset": str(offset)})


def offset(http: httpx.Client, url: str) -> int:
    answer = http.head(url)
    assert answer.status_code == 200, answer.headers
    return int(answer.headers["upload-offset"])


@contextmanager
def raw_patch(live: Live, url: str, offset: int, promised: int) -> Iterator[socket.socket]:
    """A PATCH whose body is left to the test; it begins when the server is ready to take it."""
    head = "".join(f"{name}: {value}\r\n" for name, value in {
        **CHUNK, "Host": "box", "Upload-Offset": offset, "Content-Length": promised}.items())
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
        connection.sendall(f"PATCH {httpx.URL(url).path} HTTP/1.1\r\n{head}Expect: 100-continue\r\n\r\n".encode())
        assert b" 100 " in connection.recv(1000)
        yield connection


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_cut_connection_keeps_what_arrived(http: httpx.Client, live: Live, is_reset: bool) -> None:
    url = create(http, live)
    place = 0
    for size in (1, 100, 65_536, 65_537, 300_000):
        with raw_patch(live, url, place, len(DATA) - place) as connection:
            connection.sendall(DATA[place:place + size])
            live.has_been_given(size)
            if is_reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        place += size
        assert offset(http, url) == place
    assert patch(http, url, place, DATA[place:]).status_code == 204
    assert live.content() == DATA


def test_a_cut_at_any_byte_of_the_request_does_no_harm(http: httpx.Client, live: Live) -> None:
    url = create(http, live)
    path = httpx.URL(url).path
    place = 0
    rng = random.Random(5)
    for _ in range(40):
        head = f"PATCH {path} HTTP/1.1\r\nHost: box\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in {**CHUNK, "Upload-Offset": place, "Content-Length": 9000}.items())
        whole = head.encode() + b"\r\n" + DATA[place:place + 9000]
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            connection.sendall(whole[:rng.randrange(len(whole))])
        now = offset(http, url)
        assert place <= now <= place + 9000
        place = now
    assert patch(http, url, place, DATA[place:]).status_code == 204
    assert live.content() == DATA


def test_a_stale_connection_gives_up_at_once_and_cannot_write_after(http: httpx.Client, live: Live) -> None:
    url = create(http, live)
    with raw_patch(live, url, 0, len(DATA)) as stale:
        stale.sendall(DATA[:200_000])
        live.has_been_given(200_000)
        started = time.monotonic()
        assert offset(http, url) == 200_000
        assert time.monotonic() - started < 2
        assert b"409" in stale.recv(4096).split(b"\r\n")[0]
        with raw_patch(live, url, 200_000, len(DATA) - 200_000) as second:
            second.sendall(DATA[200_000:400_000])
            live.has_been_given(200_000)
            stale.sendall(b"x" * 10_000)
            answer = patch(http, url, 400_000, DATA[400_000:])
            assert answer.status_code == 204, answer.text
    assert live.content() == DATA


def test_a_connection_that_falls_silent_is_ended(http: httpx.Client, serve: Callable[..., Live]) -> None:
    live = serve(idle_s=0.3)
    url = create(http, live)
    with raw_patch(live, url, 0, len(DATA)) as silent:
        for place in range(0, 5000, 1000):
            silent.sendall(DATA[place:place + 1000])
            time.sleep(0.1)  # slower than nothing, but not silent
        assert b"408" in silent.recv(4096).split(b"\r\n")[0]
    assert offset(http, url) == 5000


def test_many_writers_at_once_make_one_whole(http: httpx.Client, live: Live) -> None:
    url = create(http, live)

    def push(seed: int) -> None:
        rng = random.Random(seed)
        with httpx.Client(headers=TUS) as mine:
            while (place := offset(mine, url)) < len(DATA):
                answer = patch(mine, url, place, DATA[place:place + rng.randrange(1, 200_000)])
                assert answer.status_code in (204, 409), answer.text

    threads = [threading.Thread(target=push, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live.content() == DATA


def test_who_does_not_let_go_keeps_the_others_out(http: httpx.Client, serve: Callable[..., Live]) -> None:
    live = serve(lock_s=0.3)
    url = create(http, live, 3)
    entered, release = threading.Event(), threading.Event()

    async def slow(arrived: Arrived) -> None:
        entered.set()
        await asyncio.to_thread(release.wait)
        await live.take(arrived)

    live.finished = slow
    writer = threading.Thread(target=httpx.patch, args=(url,), kwargs={
        "content": b"abc", "headers": {**CHUNK, "Upload-Offset": "0"}, "timeout": 30})
    writer.start()
    entered.wait()
    answer = http.head(url)
    assert answer.status_code == 423
    assert answer.headers["retry-after"] == "1"
    release.set()
    writer.join()
    assert offset(http, url) == 3
    assert live.content() == b"abc"


def test_there_are_not_too_many_open_at_once(http: httpx.Client, serve: Callable[..., Live]) -> None:
    live = serve(open_uploads=2)
    urls = [create(http, live, 100_000) for _ in range(5)]
    for place in (0, 50_000):
        for url in urls:
            assert patch(http, url, place, DATA[place:place + 50_000]).status_code == 204
    assert len(live.arrived) == 5
    first, second, third = (create(http, live, 10) for _ in range(3))
    with raw_patch(live, first, 0, 10), raw_patch(live, second, 0, 10):
        answer = http.head(third)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    answers = (patch(http, third, 0, bytes(10)).status_code for _ in range(1000))
    assert next(answer for answer in answers if answer != 503) == 204, "as soon as one of them is gone"


class Faulty:
    """A store on a disk with faults: ``room`` bytes, and flushes that fail as long as ``flush_error`` is set."""

    def __init__(self, kind: str, root: Path) -> None:
        self._store = make_store(kind, root)
        self.room = 10**9
        self.flush_error = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, id: str) -> Appender:
        return FaultyAppender(self, self._store.open(id))


class FaultyAppender:
    def __init__(self, faults: Faulty, inner: Appender) -> None:
        self._faults, self._inner = faults, inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: Bytes) -> None:
        fitting = min(len(data), self._faults.room)
        self._faults.room -= fitting
        self._inner.write(memoryview(data)[:fitting])
        if fitting < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def sync(self) -> None:
        self._inner.sync()
        if self._faults.flush_error:
            raise OSError(self._faults.flush_error, "flush failed")


@pytest.fixture
def faulty(kind: str, tmp_path: Path) -> Any:
    return Faulty(kind, tmp_path / "uploads")


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(
    http: httpx.Client, serve: Callable[..., Live], faulty: Faulty
) -> None:
    live = serve(store=faulty)
    url = create(http, live)
    assert patch(http, url, 0, DATA[:100_000]).status_code == 204
    faulty.room = 150_000
    answer = patch(http, url, 100_000, DATA[100_000:])
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert offset(http, url) == 100_000, "only what is durable counts"
    faulty.room = 10**9
    assert patch(http, url, 100_000, DATA[100_000:]).status_code == 204
    assert live.content() == DATA


def test_what_could_not_be_flushed_is_not_acknowledged(
    http: httpx.Client, serve: Callable[..., Live], faulty: Faulty
) -> None:
    live = serve(store=faulty)
    url = create(http, live)
    faulty.flush_error = errno.EIO
    answer = patch(http, url, 0, DATA)
    assert (answer.status_code, answer.json()["code"]) == (500, "disk_fault")
    assert live.arrived == []
    faulty.flush_error = 0
    place = offset(http, url)
    assert patch(http, url, place, DATA[place:]).status_code == 204
    assert live.content() == DATA


def test_an_upload_can_be_refused_before_it_begins(http: httpx.Client, serve: Callable[..., Live]) -> None:
    async def admit(upload: Upload, received: int) -> None:
        if (upload.length or 0) > 1000:
            raise QurbaniError("storage_full", "no room for a video; 12 MB are left")

    live = serve(admit=admit)
    answer = http.post(live.url, headers={"Upload-Length": "1001"})
    assert (answer.status_code, answer.json()["detail"]) == (507, "no room for a video; 12 MB are left")
    deferred = http.post(live.url, headers={"Upload-Defer-Length": "1"})
    url = str(httpx.URL(live.url).join(deferred.headers["location"]))
    answer = http.patch(url, content=b"", headers={**CHUNK, "Upload-Offset": "0", "Upload-Length": "1001"})
    assert answer.status_code == 507
    assert "upload-length" not in http.head(url).headers


def test_nothing_is_acknowledged_before_the_hook_has_taken_it(http: httpx.Client, live: Live) -> None:
    tries = 0

    async def failing(arrived: Arrived) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise QurbaniError("unavailable", "the database is away")
        await live.take(arrived)

    live.finished = failing
    url = create(http, live)
    assert patch(http, url, 0, DATA).status_code == 503
    assert http.head(url).status_code == 503
    assert offset(http, url) == len(DATA)
    assert offset(http, url) == len(DATA)
    assert tries == 3
    assert live.content() == DATA


async def test_what_nobody_has_taken_does_not_expire(live: Live, kind: str) -> None:
    async def failing(arrived: Arrived) -> None:
        raise QurbaniError("unavailable")

    live.finished = failing
    async with httpx.AsyncClient(headers=TUS) as http:
        answer = await http.post(live.url, headers={**CHUNK, "Upload-Length": "3"}, content=b"abc")
        assert answer.status_code == 503
    live.clock.advance(10**12)
    assert await live.uploads.sweep() == 0
    live.finished = live.take
    await live.uploads.recover()
    assert live.content() == b"abc"
    assert await live.uploads.sweep() == 1


def test_a_restarted_server_goes_on(http: httpx.Client, serve: Callable[..., Live]) -> None:
    first = serve()
    url = create(http, first)
    assert patch(http, url, 0, DATA[:123_456]).status_code == 204
    first.stop()
    second = serve()
    url = url.replace(str(first.port), str(second.port))
    assert offset(http, url) == 123_456
    assert patch(http, url, 123_456, DATA[123_456:]).status_code == 204
    assert second.content() == DATA
