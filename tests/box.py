"""A box as its users meet it: the real process tree, its HTTP API, and kill -9."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from argon2 import PasswordHasher

from edge.db import Database
from shared.crypto import UnsealKey, load_key
from shared.ids import new_id
from shared.sealed import SealedReader
from shared.tus.wire import CHUNK_TYPE, write_metadata
from tests.hub import Hub
from tests.unit.sync.chains import SITE

ROOT = Path(__file__).parents[1]
PIN = "2580"
PIN_HASH = PasswordHasher(1, 8, 1).hash(PIN)

T = TypeVar("T")


def until(find: Callable[[], T | None], seconds: float = 30, what: str = "it") -> T:
    """What ``find`` gives as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s"
        time.sleep(0.02)
    return found


class Box:
    """The folder of a box, and the processes that run on it, if any."""

    def __init__(self, folder: Path, hub: Hub, **settings: str) -> None:
        self.folder = folder
        self.hub = hub
        self.environ = {
            "PATH": os.environ["PATH"],
            "QURBANI_DATA": str(folder),
            "QURBANI_EDGE_PORT": "0",
            "QURBANI_EDGE_DOOR_PORT": "0",
            "QURBANI_EDGE_TLS": "false",
            "QURBANI_EDGE_RESERVE_BYTES": "1000000",
            "QURBANI_EDGE_LOW_BYTES": "1000000",
            "QURBANI_EDGE_BALLAST_BYTES": "1000000",
            "QURBANI_SYNC_INTERVAL_S": "0.5",
            "QURBANI_SYNC_RETRY_MAX_S": "0.2",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """``qurbani edge ARGUMENTS``."""
        return self.qurbani("edge", *arguments, check=check)

    def qurbani(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """``qurbani ARGUMENTS`` on the folder of this box."""
        command = [sys.executable, "-m", "qurbani", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=180, check=check
        )

    def enrol(self) -> None:
        self.command("enrol", "--hub", self.hub.url, "--code", self.hub.code, "--name", "box 1")

    def start(self) -> None:
        (self.folder / "run" / "api.json").unlink(missing_ok=True)
        log = (self.folder / "log").open("ab")
        command = [sys.executable, "-m", "qurbani", "edge", "serve"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=log, stderr=log)
        log.close()
        until(lambda: (self.folder / "run" / "api.json").exists() or self.process.poll() is not None, 120)
        assert self.process.poll() is None, self.log

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def where(self) -> dict[str, Any]:
        """Where the running box listens."""
        return dict(json.loads((self.folder / "run" / "api.json").read_text()))

    @property
    def url(self) -> str:
        return str(self.where["url"])

    @property
    def trust(self) -> ssl.SSLContext | bool:
        """What a tablet trusts that has been through the door."""
        authority = self.where.get("authority")
        return ssl.create_default_context(cafile=authority) if authority else True

    def kill(self) -> None:
        """kill -9 of everything at once, as when the power goes."""
        if self.process is not None:
            for pid in [*self.children().values(), self.process.pid]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(30)
        self.process = None
        return code

    def children(self) -> dict[str, int]:
        """The running processes of the box by name."""
        assert self.process is not None
        found = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except FileNotFoundError:
                continue
            if b"edge" in arguments:
                found[arguments[arguments.index(b"edge") + 1].decode()] = int(pid)
        return found

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What the box has written down, read as another process would."""
        db = Database(self.folder / "edge.db")
        try:
            return db.rows(sql)
        finally:
            db.close()

    def film(self, video: UUID) -> bytes:
        """The plaintext of a video, once it is kept."""
        row = until(lambda: self.rows(f"SELECT * FROM video WHERE id = '{video}'"), what="the video")[0]
        key = load_key(self.folder / "keys" / "seal.pem", UnsealKey)
        with (self.folder / "blobs" / row["blob_id"][:2] / row["blob_id"]).open("rb") as sealed:
            content = SealedReader(sealed, key).read()
        assert len(content) == row["size"]
        return content


class Tablet:
    """An executor's tablet. Every step may be repeated until it is answered."""

    def __init__(self, box: Box, executor: UUID) -> None:
        self.box = box
        self.executor = executor
        self.http = httpx.Client(timeout=30, verify=box.trust)

    def sign_in(self) -> None:
        answer = self.ask("POST", "/api/v1/session", json={"executor_id": str(self.executor), "pin": PIN})
        self.http.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """A request; raises ``httpx.HTTPError`` when it is not answered with success."""
        return self.http.request(method, self.box.url + path, **request).raise_for_status()

    def open_sacrifice(self, animal: UUID, id: UUID | None = None) -> UUID:
        id = id or new_id()
        self.ask("POST", "/api/v1/sacrifices", json={"id": str(id), "animal_id": str(animal)})
        return id

    def upload(
        self, sacrifice: UUID, video: UUID, content: bytes, chunk: int = 1 << 20, stop: int | None = None
    ) -> None:
        """By tus, all of it or up to ``stop``; may be called again after any failure and goes on where it stopped."""
        metadata = {"id": str(video), "video_id": str(video), "sacrifice_id": str(sacrifice), "filetype": "video/mp4"}
        tus = {"Tus-Resumable": "1.0.0"}
        created = self.ask("POST", "/api/v1/uploads", headers={
            **tus, "Upload-Length": str(len(content)), "Upload-Metadata": write_metadata(metadata),
        })  # fmt: skip
        offset = int(created.headers["Upload-Offset"])
        while offset < (len(content) if stop is None else stop):
            headers = {**tus, "Upload-Offset": str(offset), "Content-Type": CHUNK_TYPE}
            piece = content[offset : offset + chunk]
            answer = self.ask("PATCH", created.headers["Location"], headers=headers, content=piece)
            offset = int(answer.headers["Upload-Offset"])

    def sacrifice(self, id: UUID) -> dict[str, Any]:
        return dict(self.ask("GET", f"/api/v1/sacrifices/{id}").json())

    def verdicts(self, sacrifice: UUID) -> list[dict[str, Any]]:
        """The videos of a sacrifice, once each is judged."""

        def judged() -> list[dict[str, Any]] | None:
            videos = self.sacrifice(sacrifice)["videos"]
            return videos if videos and all(video["outcome"] for video in videos) else None

        return until(judged, what="the verdict")

    def close(self) -> None:
        self.http.close()


@contextmanager
def running(folder: Path, hub: Hub, animals: int = 1, **settings: str) -> Iterator[tuple[Box, Tablet, list[UUID]]]:
    """An enrolled, running box that knows ``animals`` sheep with a share each, and the tablet of an executor."""
    executor, sheep = new_id(), [new_id() for _ in range(animals)]
    hub.publish("executor", executor, {"name": "Yusuf", "pin_hash": PIN_HASH, "language": "en"})
    hub.publish("site", SITE, {"name": "Mirpur", "timezone": "Asia/Karachi", "languages": ["en"]})
    for number, animal in enumerate(sheep):
        fields = {"site_id": str(SITE), "tag": f"{number:03}", "species": "sheep", "pen": "A"}
        hub.publish("animal", animal, fields)
        share = {"animal_id": str(animal), "name": "Ahmed Benali", "language": "en", "reference": f"{1000 + number}"}
        hub.publish("share", new_id(), share)
    box = Box(folder, hub, **settings)
    box.enrol()
    box.start()
    tablet = Tablet(box, executor)
    try:
        until(lambda: len(tablet.ask("GET", "/api/v1/executors").json()) == 1, what="the site feed")
        tablet.sign_in()
        yield box, tablet, sheep
    finally:
        tablet.close()
        box.kill()
