"""A whole box under its tablets: records, uploads, memory. Its real processes, over HTTP, beside the bare limit."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks import Row, Say
from edge import node as identity
from edge.capture import Capture
from edge.db import Database
from edge.node import Keys, Node
from edge.settings import Settings
from edge.vault import Vault
from shared.clock import SystemClock
from shared.crypto import SigningKey, UnsealKey
from shared.ids import new_id
from shared.tus.wire import CHUNK_TYPE, write_metadata
from sync.messages import Change

TABLETS, SECONDS = 20, 15
"""Each tablet writes one record a second for so long."""

ALONE = 200
"""Records one after the other, by one tablet."""

BULK = 10_000
FILE_BYTES = 256 << 20
MANY = 8
PIECE = 1 << 20
ROUNDS = 5

Rates = tuple[float, float]
"""MB/s, and seconds of the processor for a GB."""

PIN = "2580"
PER_PROCESS_MB = 300


def run(say: Say) -> list[Row]:
    with TemporaryDirectory(prefix="qurbani-bench-", dir=".") as name:
        folder = Path(name).absolute()
        settings = Settings(data=str(folder / "box"))
        bulk_s, executor, animals = _enrolled(settings, say)
        with _running(settings) as (url, processes):
            http = _signed_in(url, executor)
            take = iter(animals)
            say("records, one tablet")
            alone, bare = _alone(http, take, folder)
            say(f"records, {TABLETS} tablets")
            together = _together(url, http.headers, take)
            say("one upload")
            one, limit = _beside(lambda: _uploads(http, processes["api"], take, 1), lambda: _limit(folder, 1))
            say(f"{MANY} uploads")
            many, many_limit = _beside(
                lambda: _uploads(http, processes["api"], take, MANY), lambda: _limit(folder, MANY)
            )
            memory = {name: _rss_mb(pid) for name, pid in processes.items()}
    appended, plain = "append and fdatasync of 1 KiB", "socket to file, SHA-256, AES-256-GCM, fdatasync"
    return [
        Row("record over HTTP, one tablet, p50", "ms", _at(alone, 50), _at(bare, 50), appended, goal=30),
        Row("record over HTTP, one tablet, p99", "ms", _at(alone, 99), _at(bare, 99), appended, goal=30),
        Row(f"record of {TABLETS} tablets at one a second, p50", "ms", _at(together, 50), 50, "the goal", goal=1),
        Row(f"record of {TABLETS} tablets at one a second, p99", "ms", _at(together, 99), 50, "the goal", goal=1),
        Row("records in bulk", "1/s", BULK / bulk_s, 10_000, "the goal", goal=1, more_is_better=True),
        Row("one upload", "MB/s", one[0], limit[0], plain, goal=0.8, more_is_better=True),
        Row("one upload, processor", "s/GB", one[1], limit[1], plain, goal=2),
        Row(f"{MANY} uploads", "MB/s", many[0], many_limit[0], plain, goal=0.8, more_is_better=True),
        Row(f"{MANY} uploads, processor", "s/GB", many[1], many_limit[1], plain, goal=2),
        *(Row(f"memory of {name}", "MB", rss, PER_PROCESS_MB, "the goal", goal=1) for name, rss in memory.items()),
    ]


def _enrolled(settings: Settings, say: Say) -> tuple[float, UUID, list[UUID]]:
    """A box that has drawn as many animals as there are :data:`BULK`; in how many seconds, and who may sign in."""
    settings.make_folders()
    db, keys = Database(settings.database), Keys.make(Vault(settings.keys))
    hub_sign, hub_seal = SigningKey.generate().public.raw, UnsealKey.generate().public.raw
    site, executor = new_id(), new_id()
    identity.save(db, Node(new_id(), site, "bench", "http://127.0.0.1:9", hub_sign, hub_seal))
    capture = Capture(db, keys.ring, SystemClock(), new_id)
    person = {"name": "Yusuf", "pin_hash": PasswordHasher(1, 8, 1).hash(PIN), "language": "en"}
    capture.apply_feed([Change(1, "executor", executor, person)], 1)
    animals = [new_id() for _ in range(BULK)]
    fields = {"site_id": str(site), "species": "sheep", "pen": "A"}
    news = [Change(at, "animal", id, {**fields, "tag": f"T{at}"}) for at, id in enumerate(animals, 2)]
    say(f"{BULK} records in bulk")
    started = time.perf_counter()
    capture.apply_feed(news, news[-1].cursor)
    took = time.perf_counter() - started
    db.close()
    return took, executor, animals


@contextmanager
def _running(settings: Settings) -> Iterator[tuple[str, dict[str, int]]]:
    """Where it is reached, and the ids of its processes by name."""
    mine = {"DATA": settings.data, "EDGE_PORT": "0", "EDGE_TLS": "false", "EDGE_RESERVE_BYTES": "0",
            "EDGE_LOW_BYTES": "0", "EDGE_BALLAST_BYTES": "0"}  # fmt: skip
    environ = {**os.environ, **{f"QURBANI_{name}": value for name, value in mine.items()}}
    with (settings.folder / "log").open("wb") as log:
        box = subprocess.Popen([sys.executable, "-m", "qurbani", "edge", "serve"], env=environ, stdout=log, stderr=log)
    try:
        while not settings.address.exists() and box.poll() is None:
            time.sleep(0.05)
        url = str(json.loads(settings.address.read_bytes())["url"])
        while not _answers(url):
            time.sleep(0.05)
        children = Path(f"/proc/{box.pid}/task/{box.pid}/children").read_text().split()
        names = [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[3].decode() for pid in children]
        yield url, {"supervisor": box.pid, **dict(zip(names, map(int, children), strict=True))}
    finally:
        box.send_signal(signal.SIGTERM)
        box.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").is_success
    except httpx.HTTPError:
        return False


def _signed_in(url: str, executor: UUID) -> httpx.Client:
    http = httpx.Client(base_url=url, timeout=60)
    told = http.post("/api/v1/session", json={"executor_id": str(executor), "pin": PIN}).raise_for_status().json()
    http.headers["Authorization"] = f"Bearer {told['token']}"
    return http


def _record(http: httpx.Client, animal: UUID) -> UUID:
    id = new_id()
    http.post("/api/v1/sacrifices", json={"id": str(id), "animal_id": str(animal)}).raise_for_status()
    return id


def _alone(http: httpx.Client, animals: Iterator[UUID], folder: Path) -> tuple[list[float], list[float]]:
    """Milliseconds of each record and of each bare append, in turn, so that a moody disk is one for both."""
    fd = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append() -> None:
        os.write(fd, bytes(1024))
        os.fdatasync(fd)

    found = [(_ms(lambda: _record(http, next(animals))), _ms(append)) for _ in range(ALONE)]
    os.close(fd)
    ours, bare = zip(*found, strict=True)
    return list(ours), list(bare)


def _together(url: str, headers: httpx.Headers, animals: Iterator[UUID]) -> list[float]:
    """Milliseconds of each record of all tablets; one that is late does not wait for its next second."""
    rounds = [[next(animals) for _ in range(SECONDS)] for _ in range(TABLETS)]
    begin = time.perf_counter() + 1

    def tablet(number: int) -> list[float]:
        took = []
        with httpx.Client(base_url=url, timeout=60, headers=headers) as http:
            for second, animal in enumerate(rounds[number]):
                due = begin + second + number / TABLETS
                time.sleep(max(0, due - time.perf_counter()))
                _record(http, animal)
                took.append((time.perf_counter() - due) * 1000)
        return took

    with ThreadPoolExecutor(TABLETS) as tablets:
        return [each for took in tablets.map(tablet, range(TABLETS)) for each in took]


def _beside(ours: Callable[[], Rates], limit: Callable[[], Rates]) -> tuple[Rates, Rates]:
    """The medians of :data:`ROUNDS` of both in turn, so that a moody machine is one for both."""
    rounds = [(ours(), limit()) for _ in range(ROUNDS)]
    return _medians([ours for ours, _ in rounds]), _medians([limit for _, limit in rounds])


def _medians(found: list[Rates]) -> Rates:
    speed, cpu_s = (statistics.median(each) for each in zip(*found, strict=True))
    return speed, cpu_s


def _uploads(http: httpx.Client, api: int, animals: Iterator[UUID], count: int) -> Rates:
    """MB/s of all together, and seconds of the API's processor for a GB. Each is sent by a process of its own."""
    size = FILE_BYTES // count
    ready = [_created(http, _record(http, next(animals)), size) for _ in range(count)]
    at = http.base_url.host, http.base_url.port or 80

    def send(location: str) -> None:
        head = {"Host": "box", "Authorization": http.headers["Authorization"], "Tus-Resumable": "1.0.0",
                "Upload-Offset": "0", "Content-Type": CHUNK_TYPE, "Content-Length": str(size)}  # fmt: skip
        lines = [f"PATCH {httpx.URL(location).path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        with socket.create_connection(at) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            sender = _sending(connection, size)
            answer = connection.recv(4096)
            os.waitpid(sender, 0)
            assert answer.startswith(b"HTTP/1.1 204"), answer

    return _rated(lambda: _all(send, ready), lambda: _cpu_s(api))


def _sending(connection: socket.socket, size: int) -> int:
    """The process that sends so many bytes, as a tablet would: none of its time is the receiver's."""
    if not (pid := os.fork()):
        for piece in _bytes(size):
            connection.sendall(piece)
        os._exit(0)
    return pid


def _created(http: httpx.Client, sacrifice: UUID, size: int) -> str:
    id = str(new_id())
    metadata = {"id": id, "video_id": id, "sacrifice_id": str(sacrifice), "filetype": "video/mp4"}
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Upload-Metadata": write_metadata(metadata)}
    return http.post("/api/v1/uploads", headers=headers).raise_for_status().headers["Location"]


def _limit(folder: Path, count: int) -> Rates:
    """The same bytes over TCP into files, hashed, encrypted and flushed in one thread each, and nothing else."""
    size = FILE_BYTES // count

    def receive(number: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            writing = socket.create_connection(door.getsockname())
            reading, _ = door.accept()
        with writing:
            sender = _sending(writing, size)
        cipher, digest = AESGCM(os.urandom(32)), hashlib.sha256()
        with reading, (folder / f"limit-{number}").open("wb") as out:
            source = reading.makefile("rb")
            for at in range(size // PIECE):
                sealed = cipher.encrypt(at.to_bytes(12), source.read(PIECE), None)
                digest.update(sealed)
                out.write(sealed)
            out.flush()
            os.fdatasync(out.fileno())
        os.waitpid(sender, 0)

    return _rated(lambda: _all(receive, range(count)), time.process_time)


def _rated(work: Callable[[], None], cpu_s: Callable[[], float]) -> Rates:
    started, spent = time.perf_counter(), cpu_s()
    work()
    took = time.perf_counter() - started
    return FILE_BYTES / 1e6 / took, (cpu_s() - spent) / FILE_BYTES * 1e9


def _all(work: Callable[[Any], None], items: Any) -> None:
    """Each in a thread of its own, all at once."""
    with ThreadPoolExecutor(MANY) as threads:
        list(threads.map(work, items))


def _bytes(size: int) -> Iterator[bytes]:
    """What nothing can compress."""
    piece = os.urandom(PIECE)
    yield from (piece for _ in range(size // PIECE))


def _cpu_s(pid: int) -> float:
    """Of user and system: fields 14 and 15 of proc(5)'s stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _at(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
