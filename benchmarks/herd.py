"""Many sites come back in the same second, each with a backlog; one that is live goes on meanwhile.

``QURBANI_BENCH_SITES``, ``_OPS`` and ``_BLOBS`` set the scale: 500, 2000 and 20 are an Eid morning after an outage. The
boxes are threads of this process, so they and the hub share the same cores.
"""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec

from benchmarks import Row, Say
from benchmarks._hub import Hub, Site, hub
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from shared.ids import new_id
from sync.backoff import delay_s

SITES = int(os.environ.get("QURBANI_BENCH_SITES", "40"))
OPS = int(os.environ.get("QURBANI_BENCH_OPS", "400"))
BLOBS = int(os.environ.get("QURBANI_BENCH_BLOBS", "4"))
BLOB_BYTES = 64_000
CALM = 20
LIVE_S = 0.5
WANTED_OPS_S = 1_000_000 / 300
"""A million ops in five minutes."""


def run(say: Say) -> list[Row]:
    with hub() as here:
        live, sites = here.site(), []
        for number in range(SITES):
            say(f"{number} of {SITES} boxes enrolled")
            sites.append(here.site())
            _fill(sites[-1])
        calm = [_live(here, live) for _ in range(CALM)]
        say("the herd")
        began, sent_away = time.perf_counter(), [0] * SITES
        busy, over = [], threading.Event()
        watching = threading.Thread(target=lambda: busy.extend(_watch(here, live, over)))
        watching.start()
        with ThreadPoolExecutor(SITES) as boxes:
            done = list(boxes.map(lambda n: _return(here, sites[n], n, sent_away), range(SITES)))
        over.set()
        watching.join()
        rate = sum(len(site.ops) for site in sites) / (max(done) - began)
        assert all(site.place.acked == len(site.ops) and not site.waiting and not site.parked for site in sites)
        times = sorted(end - began for end in done)
        scale = f"{SITES} sites x {OPS} ops, {BLOBS} files"
        return [
            Row(f"ops of {scale}", "1/s", rate, WANTED_OPS_S, "a million in 5 min", 1, more_is_better=True),
            Row("live exchange meanwhile, p95", "ms", _p95(busy), _p95(calm), "on the idle hub", 5),
            Row("slowest site", "s", times[-1], statistics.median(times), "the median site", 3),
            Row("sent away per site", "times", sum(sent_away) / SITES, OPS / 250, "batches", 2),
            Row("memory of the hub, peak", "MiB", here.peak_bytes() / 2**20, 1024, "the goal", 1),
        ]


def _fill(site: Site) -> None:
    """A day: five ops for each sacrifice, four records, all of which the hub's services take in."""
    chance = random.Random(site.who.node.int)
    verdict = msgspec.to_builtins(Verdict("review", "measured"))
    while len(site.ops) < OPS:
        sacrifice, video = site.open(), new_id()
        sha256, blob_id = (f"{chance.getrandbits(256):064x}" for _ in range(2))
        site.write("video", video, {
            "sacrifice_id": str(sacrifice), "sha256": sha256, "size": BLOB_BYTES, "blob_id": blob_id,
            "blob_size": BLOB_BYTES, "media_type": "video/mp4", "captured": site.ops[-1].patch["opened"],
        })  # fmt: skip
        site.write("sacrifice", sacrifice, {"state": "recorded"})
        site.write("verdict", new_id(), {"video_id": str(video), "outcome": "review", "body": verdict})
        site.write("sacrifice", sacrifice, {"state": "judged"})
    for _ in range(BLOBS):
        site.seal(chance.randbytes(BLOB_BYTES))


def _return(here: Hub, site: Site, number: int, sent_away: list[int]) -> float:
    """As an agent does it: again after each failure, when the hub asked for it and a little later."""
    chance, failures = random.Random(number), 0
    with here.client() as http:
        while True:
            try:
                site.sync(http)
                return time.perf_counter()
            except QurbaniError as error:
                if not error.retry:
                    raise
                failures += 1
                sent_away[number] += error.code == "too_many_requests"
                time.sleep(delay_s(min(failures, 3), error, chance.random))


def _watch(here: Hub, site: Site, over: threading.Event) -> list[float]:
    found: list[float] = []
    while not over.wait(LIVE_S):
        found.append(_live(here, site))
    return found


def _live(here: Hub, site: Site) -> float:
    """One op that has just happened, in milliseconds until it is acknowledged."""
    site.write("sacrifice", site.ops[0].key if site.ops else site.open(), {"note": new_id().hex})
    return _seconds(lambda http: site.sync(http), here) * 1000


def _seconds(work: Callable[[httpx.Client], None], here: Hub) -> float:
    with here.client() as http:
        began = time.perf_counter()
        work(http)
        return time.perf_counter() - began


def _p95(milliseconds: list[float]) -> float:
    return sorted(milliseconds)[int(0.95 * (len(milliseconds) - 1))]
