"""A box at work, in processes of which anything may become: what it does step by step, and what is wrong afterwards."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import edge  # noqa: F401 - before anything opens SQLite
from edge import node as identity
from edge.arrival import Arrival
from edge.blobs import Blobs
from edge.bus import Bell
from edge.capture import Capture
from edge.db import Database
from edge.disk import Ballast, Disk
from edge.node import Keys, Node
from edge.room import Room
from edge.settings import Settings
from edge.site import Site
from edge.uploads import VideoUploads
from edge.vault import Vault
from shared.clock import SystemClock
from shared.crypto import SigningKey, UnsealKey
from shared.ids import new_id
from shared.sealed import SEGMENT_SIZE
from shared.tus.folder import SealingStore
from shared.tus.server import Standing, UploadServer
from sync.messages import Change

ANIMALS = [new_id(), new_id()]
SACRIFICES = [new_id(), new_id()]
VIDEO, OWNER = new_id(), new_id()
STEPS = ("news", "first", "half", "video", "second")
CONTENT = os.urandom(SEGMENT_SIZE + 70_000)


class Work:
    """What a box does, step by step. Each step may be repeated, and is acknowledged when it returns."""

    def __init__(self, settings: Settings) -> None:
        self.db = Database(settings.database)
        keys, clock = Keys.load(Vault(settings.keys)), SystemClock()
        self.capture = Capture(self.db, keys.ring, clock, new_id)
        self.blobs = Blobs(settings.blobs, keys.seal)
        disk, ballast = Disk(settings.folder, 0), Ballast(settings.ballast, 0)
        arrival = Arrival(self.capture, self.blobs, Bell(settings.run, "api"))
        videos = VideoUploads(Site(self.db), arrival, Room(self.db, self.blobs, disk, ballast, 0))
        store = SealingStore(settings.uploads, [keys.seal.public], keys.seal)
        self.uploads = UploadServer(store, videos.finished, clock, new_id, admit=videos.admit)

    async def do(self, step: str) -> None:
        if step == "news":
            fields = {"site_id": str(OWNER), "species": "sheep"}
            changes = [Change(n + 1, "animal", id, {**fields, "tag": str(n)}) for n, id in enumerate(ANIMALS)]
            self.capture.apply_feed(changes, 2, b"12345678")
        elif step == "first":
            self.capture.open_sacrifice(SACRIFICES[0], ANIMALS[0], OWNER)
        elif step == "second":
            self.capture.open_sacrifice(SACRIFICES[1], ANIMALS[1], OWNER)
        else:
            await self.send({"half": len(CONTENT) // 2, "video": len(CONTENT)}[step])

    async def send(self, end: int) -> None:
        """The upload up to there; with its last byte the video is kept."""
        standing = await self.begin()
        while standing.offset < end:
            piece = CONTENT[standing.offset : min(end, standing.offset + 400_000)]
            standing = await self.uploads.append(str(OWNER), standing.upload.id, standing.offset, _once(piece))

    async def begin(self) -> Standing:
        """As a tablet does that never heard an answer."""
        metadata = {"id": "film", "video_id": str(VIDEO), "sacrifice_id": str(SACRIFICES[0])}
        return await self.uploads.create(str(OWNER), len(CONTENT), metadata)


async def _once(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


def wrong(folder: Path, acknowledged: list[str]) -> list[str]:
    """What was acknowledged and is not there, by somebody who looks after the process has died."""
    return asyncio.run(_wrong(Work(Settings(data=str(folder))), acknowledged))


async def _wrong(work: Work, acknowledged: list[str]) -> list[str]:
    found = []
    ids = {row["id"] for table in ("sacrifice", "video", "animal") for row in work.db.rows(f"SELECT id FROM {table}")}
    needed = {"news": ANIMALS[1], "first": SACRIFICES[0], "video": VIDEO, "second": SACRIFICES[1]}
    found += [name for name in acknowledged if name in needed and str(needed[name]) not in ids]
    if work.db.rows("PRAGMA integrity_check") != [{"integrity_check": "ok"}]:
        found.append("integrity")
    chain = work.db.rows("SELECT count(*) AS ops, coalesce(max(seq), 0) AS last FROM op")[0]
    if chain["ops"] != chain["last"]:
        found.append("a gap among the ops")
    if str(VIDEO) in ids:
        blob = work.db.rows("SELECT blob_id FROM video")[0]["blob_id"]
        with work.blobs.opened(blob) as film:
            found += [] if film.read() == CONTENT else ["other bytes"]
    elif "half" in acknowledged and (standing := await work.begin()).offset < len(CONTENT) // 2:
        found.append(f"only {standing.offset} bytes of half of {len(CONTENT)}")
    work.db.close()
    return found


def in_a_process(work: Callable[[], object]) -> object:
    """What ``work`` gives in a process of its own, which then dies at once, as at a power cut."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        try:
            os.write(writing, json.dumps(work()).encode())
        except BaseException as error:
            os.write(writing, json.dumps([[], [f"CRASH {error!r}"], 0]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = json.loads(pipe.read())
    os.waitpid(pid, 0)
    return found


def new_box(folder: Path) -> None:
    settings = Settings(data=str(folder))
    settings.make_folders()
    Keys.make(Vault(settings.keys))
    db = Database(settings.database)
    hub = SigningKey.generate().public.raw
    identity.save(db, Node(new_id(), OWNER, "box", "", hub, UnsealKey.generate().public.raw))
    db.close()
