"""How long a tablet waits until a record is safe: row and op in one transaction, beside one append and fdatasync."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from benchmarks import Row, Say
from edge import node as identity
from edge.capture import Capture
from edge.db import Database
from edge.node import Keys, Node
from edge.vault import Vault
from shared.clock import SystemClock
from shared.crypto import SigningKey, UnsealKey
from shared.ids import new_id
from sync.messages import Change

ROUNDS = 500
RECORD_BYTES = 1024


def run(say: Say) -> list[Row]:
    """The two in turn, so that a disk that changes its mood changes it for both."""
    with TemporaryDirectory(prefix="qurbani-bench-", dir=".") as name:
        folder = Path(name)
        capture, animals = _box(folder)
        executor = new_id()
        ours, bare = [], []
        fd = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number, animal in enumerate(animals):
            ours.append(_seconds(lambda animal=animal: capture.open_sacrifice(new_id(), animal, executor)))
            bare.append(_seconds(lambda: _append(fd)))
            if number % 100 == 0:
                say(f"{number} of {ROUNDS}")
        os.close(fd)
    ours_p50, ours_p99 = _percentiles(ours)
    bare_p50, bare_p99 = _percentiles(bare)
    limit = "append and fdatasync of 1 KiB"
    return [
        Row("durable record, p50", "ms", ours_p50, bare_p50, limit, goal=3),
        Row("durable record, p99", "ms", ours_p99, bare_p99, limit, goal=3),
    ]


def _box(folder: Path) -> tuple[Capture, list[UUID]]:
    """A box that has drawn as many animals from its hub as there are rounds."""
    (folder / "keys").mkdir()
    db, keys = Database(folder / "edge.db"), Keys.make(Vault(folder / "keys"))
    hub_sign, hub_seal = SigningKey.generate().public.raw, UnsealKey.generate().public.raw
    site = new_id()
    identity.save(db, Node(new_id(), site, "bench", "http://hub.example", hub_sign, hub_seal))
    capture = Capture(db, keys.ring, SystemClock(), new_id)
    animals = [new_id() for _ in range(ROUNDS)]
    fields = {"site_id": str(site), "species": "sheep", "pen": "A"}
    news = [Change(at, "animal", id, {**fields, "tag": f"T{at}"}) for at, id in enumerate(animals, 1)]
    capture.apply_feed(news, len(news))
    return capture, animals


def _append(fd: int) -> None:
    os.write(fd, bytes(RECORD_BYTES))
    os.fdatasync(fd)


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return cuts[49] * 1000, cuts[98] * 1000
