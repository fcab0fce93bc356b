"""A video that goes to the archive or comes back, in processes that are killed; and what is wrong afterwards.

``python -m tests.chaos.cloud.uploads.archive_at_work DIRECTION RUNS`` on a migrated database and two empty folders:
with ``RUNS`` 0 a process dies at each position where it opens, renames or removes a file, or commits; else so many die
at a random moment. Each begins as a fork, so that the imports are paid once. Prints what was found, as JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event, select, update

from cloud.executors import service as executors
from cloud.executors.schemas import NewSite
from cloud.platform.database import Database
from cloud.platform.settings import Settings
from cloud.storage.blobs import prove
from cloud.storage.port import Store
from cloud.uploads import archive
from cloud.uploads.models import Blob, Copy, Video
from cloud.uploads.mover import Mover
from shared import settings as environment
from shared.clock import SystemClock
from shared.errors import QurbaniError
from shared.ids import new_id

NOW = SystemClock().now()
VIDEO = new_id()
SITE = "Yard"

T = TypeVar("T")


class Work:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.mover = Mover.open(settings)

    async def prepare(self, size: int, *variants: str) -> None:
        """One old video, whose check has ended, with these files; all in the hot store."""
        async with self.database.begin() as session:
            new = NewSite(SITE, "Africa/Algiers", ["ar"])
            site = await executors.add_site(session, new, now=NOW, new_id=new_id)
            files = {variant: os.urandom(size) for variant in variants}
            names = {variant: hashlib.sha256(content).hexdigest() for variant, content in files.items()}
            for variant, content in files.items():
                part = self.mover.hot.part(variant)
                part.write_bytes(content)
                self.mover.hot.put(names[variant], part)
                session.add(Blob(id=names[variant], arrived=NOW, site_id=site.id, size=size))
            await session.flush()
            old = NOW - timedelta(days=100)
            session.add(Video(
                id=VIDEO, sacrifice_id=new_id(), site_id=site.id, node=new_id(), sha256=names["original"], size=size,
                blob_id=names["original"], media_type="video/mp4", captured={}, state="processed", outcome="authentic",
                created=old, changed=old,
            ))
            await session.flush()
            for variant, name in names.items():
                session.add(Copy(video_id=VIDEO, variant=variant, blob_id=name, sha256=name, size=size,
                                 media_type="video/mp4", created=old))

    async def go(self) -> None:
        await archive.move_out(self.database, self.mover, self.settings, VIDEO, NOW)

    async def come(self) -> None:
        blobs = await archive.bring_back(self.database, self.mover, VIDEO)
        async with self.database.begin() as session:
            await archive.returned(session, self.mover.hot, VIDEO, blobs, self.settings, NOW, new_id)

    async def begin(self, direction: str) -> None:
        """As before: all hot and nothing cold, or all cold and nothing hot."""
        async with self.database.begin() as session:
            await session.execute(update(Video).values(hot_until=None))
        if direction == "come":
            return await self.go()
        async with self.database.begin() as session:
            is_cold = (await session.scalars(select(Blob).where(~Blob.hot))).first() is not None
        if is_cold:
            await self.come()
        async with self.database.begin() as session:
            await session.execute(update(Video).values(hot_until=None))
            for blob in await session.scalars(select(Blob)):
                blob.hot, blob.cold = True, None
                self.mover.cold.delete(blob.id)
        return None

    async def wrong(self, end: str = "") -> list[str]:
        """What a person who looks now would complain of; after the ``end`` everything has to be in its place."""
        found = []
        async with self.database.begin() as session:
            blobs = list(await session.scalars(select(Blob)))
        for blob in blobs:
            hot, cold = (_is_right(store, blob.id) for store in (self.mover.hot, self.mover.cold))
            if not (hot or cold):
                found.append("no proved copy")
            if blob.hot and not hot:
                found.append("said to be hot and is not")
            if blob.cold and not cold:
                found.append("said to be cold and is not")
            if end and (blob.hot, hot) != ((False, False) if end == "go" else (True, True)):
                found.append("not in its place")
        folders = [Path(self.settings.data), Path(self.settings.cold_store.removeprefix("file://"))]
        if end and any(part for folder in folders for part in (folder / "parts").iterdir()):
            found.append("something is left of the work")
        return found


def _is_right(store: Store, blob_id: str) -> bool:
    try:
        with store.open(blob_id) as blob:
            prove(blob_id, blob)
    except QurbaniError:
        return False
    return True


def run(settings: Settings, work: Callable[[Work], Coroutine[Any, Any, T]]) -> T:
    async def inside() -> T:
        begun = Work(settings)
        try:
            return await work(begun)
        finally:
            await begun.database.close()

    return asyncio.run(inside())


def dies(settings: Settings, do: Callable[[Work], Coroutine[Any, Any, None]], position: int, after_s: float) -> bool:
    """Whether a process that does it was killed, at the position or after that time, before it was done."""
    if not (pid := os.fork()):
        try:
            if position:
                _die_at(position)
            else:
                threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
            run(settings, do)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0


def _die_at(position: int) -> None:
    left = [position]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if name in ("open", "os.rename", "os.remove") and {"blobs", "parts"} & set(Path(str(arguments[0])).parts):
            step()

    sys.addaudithook(hook)
    original = Work.__init__

    def watched(self: Work, settings: Settings) -> None:
        original(self, settings)
        event.listen(self.database.engine.sync_engine, "commit", lambda connection: step())

    Work.__init__ = watched  # type: ignore[method-assign]


async def look(work: Work, direction: str, do: Callable[[Work], Coroutine[Any, Any, None]]) -> list[str]:
    """What is wrong after a death, and when somebody has done it again; then all is as before."""
    found = await work.wrong()
    await do(work)
    found += await work.wrong(direction)
    await work.begin(direction)
    return found


def main(direction: str, runs: int) -> dict[str, Any]:
    settings = environment.load(Settings, os.environ)
    do = Work.go if direction == "go" else Work.come
    files = (300_000, "original", "compressed") if runs else (3_000, "original")
    run(settings, lambda work: work.prepare(*files))
    problems: list[str] = []
    killed = number = 0
    run(settings, lambda work: work.begin(direction))
    while True:
        number += 1
        died = dies(settings, do, 0 if runs else number, random.uniform(0.01, 0.3))
        killed += died
        if found := run(settings, lambda work: look(work, direction, do)):
            problems.append(f"{number}: {found}")
        if number == runs or (not runs and not died):
            return {"tried": number, "killed": killed, "problems": problems}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
