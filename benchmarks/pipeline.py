"""Videos in the hub: from the arrival of the last byte to the end of the checks, at a stated rate.

A minute of 1080p comes every ``QURBANI_BENCH_EVERY_S`` seconds, ``QURBANI_BENCH_VIDEOS`` times, from a box of this
process. The hub is one process with everything (``qurbani cloud run``) and shares the cores with its servers. What
happened when is heard as pages hear it, over the hub's WebSocket.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from benchmarks import Row, Say
from benchmarks._hub import Hub, hub
from benchmarks.evidence import SECONDS, made
from shared.ids import new_id

VIDEOS = int(os.environ.get("QURBANI_BENCH_VIDEOS", "8"))
EVERY_S = float(os.environ.get("QURBANI_BENCH_EVERY_S", "20"))
WANTED_S = 180
"""Three minutes, on average."""
PATIENCE_S = 1800

ARRIVED, COPIED, PROCESSED = "video.initial-upload", "video.uploaded-preprocessed", "video.processed-final"


class Heard:
    """When each video came to each of its stages, by the clock of whoever listens."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._at: dict[tuple[str, str], float] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def at(self, stage: str, video: UUID) -> float:
        """Waits for it."""
        with self._news:
            assert self._news.wait_for(lambda: (stage, str(video)) in self._at, PATIENCE_S), f"no {stage} of {video}"
            return self._at[stage, str(video)]

    def _listen(self) -> None:
        try:
            while True:
                page = json.loads(self._socket.recv())
                with self._news:
                    for event in page["events"]:
                        self._at.setdefault((event["entity"], event["key"]), time.perf_counter())
                    self._news.notify_all()
        except ConnectionClosed:
            return


def run(say: Say) -> list[Row]:
    with TemporaryDirectory(prefix="qurbani-bench-") as name:
        film = made(Path(name) / "film.mp4", say).read_bytes()
    with hub("run") as here:
        bearer = {"Authorization": here.admin.http.headers["Authorization"]}
        with connect(f"ws://127.0.0.1:{here.port}/api/v1/events", additional_headers=bearer) as socket:
            return _measured(here, Heard(socket), film, say)


def _measured(here: Hub, heard: Heard, film: bytes, say: Say) -> list[Row]:
    site, videos, shown = here.site(), list[UUID](), list[float]()
    began = time.perf_counter()
    with here.client() as http:
        for number in range(VIDEOS):
            time.sleep(max(0.0, began + number * EVERY_S - time.perf_counter()))
            say(f"video {number + 1} of {VIDEOS}")
            videos.append(site.film(_another(film)))
            site.sync(http)
            shown.append(_estimate(here))
    say("the rest of the checks")
    whole = [heard.at(PROCESSED, video) - heard.at(ARRIVED, video) for video in videos]
    copies = [heard.at(COPIED, video) - heard.at(ARRIVED, video) for video in videos]
    last = copies[-1]
    rate = f"{SECONDS} s at 1080p, one every {EVERY_S:.0f} s"
    return [
        Row(f"uploaded to processed, mean ({rate})", "s", statistics.fmean(whole), WANTED_S, "the goal", goal=1),
        Row("the same, the slowest", "s", max(whole), WANTED_S, "the goal", goal=1),
        Row("of it until the copies are made, mean", "s", statistics.fmean(copies), WANTED_S, "the goal", goal=1),
        Row("copies of the last one, as the page foretold", "s", shown[-1], last, "what it took", goal=2),
    ]


def _another(film: bytes) -> bytes:
    """The same film as another file: at its end a box that players pass over."""
    return film + (24).to_bytes(4, "big") + b"free" + new_id().bytes


def _estimate(here: Hub) -> float:
    """What the page of queues says of a video that comes now; 0 before one has been through."""
    queues = here.admin.get("/api/v1/queues")["queues"]
    return next((each["ready_in_s"] or 0.0 for each in queues if each["name"] == "videoUpload"), 0.0)
