"""The server killed in the middle: nothing acknowledged is lost, and what arrived is noted once."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from shared.sealed import SealedReader
from tests.integration.tus import process
from tests.integration.tus.live import CHUNK, HUB, TUS


class Server:
    """One run of the process. ``upload`` is the path of an upload, the same in every run."""

    def __init__(self, kind: str, root: Path) -> None:
        self._process = subprocess.Popen([sys.executable, process.__file__, kind, str(root)], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=TUS, timeout=30)

    def create(self, length: int) -> str:
        return str(self.http.post("/files", headers={"Upload-Length": str(length)}).headers["location"])

    def offset(self, upload: str) -> int:
        return int(self.http.head(upload).headers["upload-offset"])

    def patch(self, upload: str, offset: int, body: bytes | Iterator[bytes]) -> httpx.Response:
        return self.http.patch(upload, content=body, headers={**CHUNK, "Upload-Offset": str(offset)})

    def peak_memory(self) -> int:
        """The most resident memory so far, bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    def wait(self) -> None:
        assert self._process.wait(10) == -9
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.http.close()


@contextmanager
def server(kind: str, root: Path) -> Iterator[Server]:
    running = Server(kind, root)
    try:
        yield running
    finally:
        running.kill()


def taken(kind: str, root: Path) -> list[bytes]:
    """The content of everything that was noted, in order."""
    found = []
    for line in (root / "ledger").read_text().splitlines():
        with (root / line.split()[1]).open("rb") as file:
            found.append(file.read() if kind == "plain" else SealedReader(file, HUB).read())
    return found


def test_kills_in_mid_upload_lose_nothing_that_was_acknowledged(kind: str, tmp_path: Path) -> None:
    rng = random.Random(11)
    data = rng.randbytes(4_000_000)
    upload, acked = "", 0
    for _ in range(2):
        with server(kind, tmp_path) as running:
            upload = upload or running.create(len(data))
            place = running.offset(upload)
            assert place >= acked
            for _ in range(4):
                size = rng.randrange(1, 200_000)
                assert running.patch(upload, place, data[place:place + size]).status_code == 204
                place = acked = place + size

            def trickle(place: int = place, running: Server = running) -> Iterator[bytes]:
                for at in range(place, len(data), 50_000):
                    if at > place + 900_000:
                        threading.Thread(target=running.kill).start()
                    yield data[at:at + 50_000]

            with pytest.raises(httpx.TransportError):
                running.patch(upload, place, trickle())
    with server(kind, tmp_path) as running:
        place = running.offset(upload)
        assert place >= acked
        assert running.patch(upload, place, data[place:]).status_code == 204
        assert running.offset(upload) == len(data)
    assert taken(kind, tmp_path) == [data]


def test_kills_around_the_note_make_one_note(kind: str, tmp_path: Path) -> None:
    data = random.Random(12).randbytes(200_000)
    uploads = []
    for where in ("die-before", "die-after"):
        with server(kind, tmp_path) as running:
            (tmp_path / where).touch()
            uploads.append(running.create(len(data)))
            with pytest.raises(httpx.TransportError):
                running.patch(uploads[-1], 0, data)
    with server(kind, tmp_path) as running:
        assert [running.offset(upload) for upload in uploads] == [len(data)] * 2
    assert taken(kind, tmp_path) == [data] * 2


def test_memory_does_not_grow_with_the_file(kind: str, tmp_path: Path) -> None:
    megabyte = random.Random(13).randbytes(1 << 20)
    with server(kind, tmp_path) as running:
        upload = running.create(4 << 20)
        assert running.patch(upload, 0, megabyte * 4).status_code == 204
        before = running.peak_memory()
        upload = running.create(64 << 20)
        assert running.patch(upload, 0, iter([megabyte] * 64)).status_code == 204
        assert running.peak_memory() - before < 16 << 20
