"""What sync costs: bytes, round trips and time over an emulated line, to a hub of real processes.

Beside it stand figures of PouchDB's replication, measured once for 10,000 records of about 1 KB (1,157 bytes up a
record, 52 round trips, 1,970 records a second on an idle machine), and the floor of the line itself.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress

from benchmarks import Row, Say
from benchmarks._hub import Hub, Site, hub
from demo.proxy import Proxy
from shared.errors import QurbaniError
from shared.ids import new_id
from sync.calls import Call
from sync.messages import EXCHANGE

RECORDS = 1000
LIMIT_BYTES = 60_000
POUCHDB_BYTES, POUCHDB_TRIPS, POUCHDB_PER_S = 1157, 52 / 10_000, 1970
EMPTY_BYTES = 600
SLOW_BYTES_S, ROUND_TRIP_S, LOSS = 9600 / 8, 1.5, 0.2
FILE_BYTES = int(os.environ.get("QURBANI_BENCH_MB", "500")) * 1_000_000
CUTS = 50
MOBILE_BYTES_S, MOBILE_TRIP_S = 64_000 / 8, 0.3
AHEAD = {"poster": 25_000, "preview": 110_000}
"""Bytes of what goes ahead of a video, as a box makes it of a minute at 1080p."""


def run(say: Say) -> list[Row]:
    with hub() as here, Proxy("127.0.0.1", here.port) as link:
        return [*_records(here, link, say), *_ahead(here, link, say), *_slow(here, link, say), *_cuts(here, link, say)]


def _records(here: Hub, link: Proxy, say: Say) -> list[Row]:
    """A thousand changes of state on a fast line, and then nothing new."""
    say("records")
    site = here.site()
    _write(site, RECORDS)
    trips: list[Call] = []
    began, before = time.perf_counter(), _bytes(link)
    site.insist(lambda: here.client(link.port), trips.append)
    seconds, size = time.perf_counter() - began, _bytes(link) - before
    exchanges = sum(call.path == EXCHANGE for call in trips)
    with here.client(link.port) as http:
        before = _bytes(link)
        site.sync(http)
    return [
        Row("1,000 status records", "bytes", size, RECORDS * POUCHDB_BYTES, "PouchDB, 1 KB records",
            LIMIT_BYTES / (RECORDS * POUCHDB_BYTES)),
        Row("their round trips", "calls", exchanges, RECORDS * POUCHDB_TRIPS, "PouchDB", 1 / (RECORDS * POUCHDB_TRIPS)),
        Row("records into Postgres", "1/s", RECORDS / seconds, POUCHDB_PER_S, "PouchDB, idle machine", 1,
            more_is_better=True),
        Row("an exchange without news", "bytes", _bytes(link) - before, EMPTY_BYTES, "the goal", 1),
    ]


def _ahead(here: Hub, link: Proxy, say: Say) -> list[Row]:
    """At 64 kbit/s: when the hub has a verdict, its poster and its preview, while three whole videos wait as well."""
    say("verdict and poster at 64 kbit/s")
    site = here.site()
    _write(site, 3)
    for _ in range(3):
        site.seal(os.urandom(5_000_000))
    for kind, size in AHEAD.items():
        site.seal(os.urandom(size), kind)
    for way in (link.up, link.down):
        way.bandwidth, way.latency = MOBILE_BYTES_S, MOBILE_TRIP_S / 2
    began, there = time.perf_counter(), dict[str, float]()

    def look(call: Call) -> None:
        for kind in {"verdict", *AHEAD} - there.keys():
            if kind not in site.waiting.values() and site.place.acked == len(site.ops):
                there[kind] = time.perf_counter() - began
        if len(there) == 1 + len(AHEAD):
            raise _Enough

    with suppress(_Enough):
        site.insist(lambda: here.client(link.port), look)
    for way in (link.up, link.down):
        way.bandwidth, way.latency = None, 0.0
    floors = {"verdict": 0, "poster": AHEAD["poster"], "preview": sum(AHEAD.values())}
    return [Row(f"{kind} at 64 kbit/s", "s", there[kind], size / MOBILE_BYTES_S + 4 * MOBILE_TRIP_S,
                "bytes at that rate + four round trips", 2) for kind, size in floors.items()]


class _Enough(Exception):
    """What the benchmark waits for has happened."""


def _slow(here: Hub, link: Proxy, say: Say) -> list[Row]:
    """The same over 9.6 kbit/s, with 1.5 s there and back and every fifth piece lost once."""
    say("records at 9.6 kbit/s with 20 % loss")
    site = here.site()
    _write(site, RECORDS)
    for way in (link.up, link.down):
        way.bandwidth, way.latency, way.loss, way.again = SLOW_BYTES_S, ROUND_TRIP_S / 2, LOSS, ROUND_TRIP_S
    before, began, failures = link.up.bytes, time.perf_counter(), list[QurbaniError]()
    site.insist(lambda: here.client(link.port), failed=failures.append)
    seconds, size = time.perf_counter() - began, link.up.bytes - before
    for way in (link.up, link.down):
        way.bandwidth, way.latency, way.loss = None, 0.0, 0.0
    floor = size / SLOW_BYTES_S / (1 - LOSS) + 2 * ROUND_TRIP_S
    what = f"1,000 records at 9.6 kbit/s ({len(failures)} calls lost)"
    return [Row(what, "s", seconds, floor, "bytes at that rate + sign-in", 3)]


def _cuts(here: Hub, link: Proxy, say: Say) -> list[Row]:
    """A large file over a line that is reset in its middle, again and again."""
    site, chance = here.site(), random.Random(50)
    site.seal(b"".join(chance.randbytes(1_000_000) for _ in range(FILE_BYTES // 1_000_000)))
    link.up.bandwidth = 40e6
    before, began, cuts = link.up.bytes, time.perf_counter(), 0

    def again(error: QurbaniError) -> None:
        nonlocal cuts
        if link.wait_until_cut(0):
            cuts += 1
            say(f"{cuts} cuts, {(link.up.bytes - before) / FILE_BYTES:.0%} of {FILE_BYTES / 1e6:.0f} MB")
        link.heal()
        if cuts < CUTS:
            link.cut_after(up=int(FILE_BYTES / (CUTS + 1) * chance.uniform(0.6, 1.0)))

    again(QurbaniError("unavailable"))
    site.insist(lambda: here.client(link.port), failed=again)
    took = time.perf_counter() - began
    what = f"{FILE_BYTES / 1e6:.0f} MB over {cuts} cuts ({took:.0f} s)"
    return [Row(what, "MB", (link.up.bytes - before) / 1e6, FILE_BYTES / 1e6, "its bytes", 1.03)]


def _write(site: Site, count: int) -> None:
    """Small changes by four people. A random note stands for the random key that each would have, of another record."""
    sacrifice, people = site.open(), [str(new_id()) for _ in range(4)]
    chance = random.Random(count)
    for n in range(count - 1):
        site.write("sacrifice", sacrifice, {"note": f"{chance.getrandbits(128):x}"}, people[n % 4])


def _bytes(link: Proxy) -> int:
    return link.up.bytes + link.down.bytes
