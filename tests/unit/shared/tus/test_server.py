"""The server without HTTP: requests that are cancelled, and leases that change hands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from shared.clock import ManualClock
from shared.crypto import UnsealKey
from shared.errors import QurbaniError
from shared.ids import new_id
from shared.sealed import SealedReader
from shared.tus.folder import SealingStore
from shared.tus.leases import Leases
from shared.tus.server import Arrived, Limits, UploadServer

KEY = UnsealKey(b"k" * 32)
DATA = os.urandom(300_000)


class Taken:
    def __init__(self) -> None:
        self.contents: list[bytes] = []

    async def __call__(self, arrived: Arrived) -> None:
        with arrived.path.open("rb") as blob:
            self.contents.append(SealedReader(blob, KEY).read())


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
async def server(tmp_path: Path, taken: Taken) -> AsyncIterator[UploadServer]:
    store = SealingStore(tmp_path, [KEY.public], KEY, segment_size=4096)
    server = UploadServer(store, taken, ManualClock(), new_id, limits=Limits(flush_s=0, lock_s=0.2))
    yield server
    server.close()


async def body(data: bytes, then: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 10_000):
        yield data[at:at + 10_000]
        await asyncio.sleep(0)
    if then is not None:
        await then.wait()


@pytest.mark.parametrize("steps", [*range(12), 30, 60, 120])
async def test_a_request_cancelled_anywhere_leaves_a_true_offset(
    server: UploadServer, taken: Taken, steps: int
) -> None:
    upload = (await server.create("me", len(DATA), {})).upload.id
    request = asyncio.create_task(server.append("me", upload, 0, body(DATA[:200_000], asyncio.Event())))
    for _ in range(steps):
        await asyncio.sleep(0.0005)
    request.cancel()
    with suppress(asyncio.CancelledError):
        await request
    place = (await server.status("me", upload)).offset
    assert place <= 200_000
    assert (await server.append("me", upload, place, body(DATA[place:]))).offset == len(DATA)
    assert taken.contents == [DATA]


async def test_a_flush_on_the_way_survives_a_cancelled_request(server: UploadServer) -> None:
    upload = (await server.create("me", len(DATA), {})).upload.id
    request = asyncio.create_task(server.append("me", upload, 0, body(DATA[:200_000], asyncio.Event())))
    await asyncio.sleep(0.3)
    request.cancel()
    with suppress(asyncio.CancelledError):
        await request
    assert (await server.status("me", upload)).offset > 100_000


async def test_the_latest_gets_the_lease() -> None:
    leases = Leases(patience_s=1)
    order = []

    async def hold(name: str) -> None:
        async with leases.hold("upload") as lease:
            with suppress(TimeoutError):
                async with lease.waiting(30):
                    await asyncio.sleep(20)
            order.append((name, lease.is_wanted))

    tasks = []
    for name in "abc":
        tasks.append(asyncio.create_task(hold(name)))
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks[:2])
    assert order == [("a", True), ("b", True)]
    tasks[-1].cancel()
    with suppress(asyncio.CancelledError):
        await tasks[-1]
    assert order[2:] == [], "the last one was not asked to give up"
    assert not leases.is_held("upload")


async def test_a_silence_is_measured_from_the_last_sound() -> None:
    async with Leases(patience_s=1).hold("upload") as lease:
        sounds = 0

        async def sounds_then_silence() -> None:
            nonlocal sounds
            async with lease.waiting(0.3):
                for sounds in range(1, 6):  # noqa: B007
                    await asyncio.sleep(0.1)
                    lease.heard()
                await asyncio.sleep(30)

        with pytest.raises(TimeoutError):
            await sounds_then_silence()
        assert sounds == 5, "together longer than one silence may be"
        assert not lease.is_wanted


async def test_a_lease_that_is_not_given_up_locks() -> None:
    leases = Leases(patience_s=0.05)
    async with leases.hold("one"):
        with pytest.raises(QurbaniError) as caught:
            async with leases.hold("one"):
                pass
        assert caught.value.code == "locked"
        async with leases.hold("another"):
            pass
    assert not leases.is_held("one")
