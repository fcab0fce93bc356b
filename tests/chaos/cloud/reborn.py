"""Programs of the hub that are killed and started again in milliseconds.

``python -m tests.chaos.cloud.reborn NAME`` imports the hub once and then forks a child that runs the program
``NAME``; when that dies, it forks the next. Each child's process id is printed as it begins.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from cloud import main
from cloud.platform import jobs
from cloud.platform.consumer import Consumer, Handler
from cloud.platform.core import Platform
from cloud.platform.forever import forever
from cloud.platform.settings import Settings
from cloud.platform.worker import Worker
from demo.servers.server import die_with
from shared import settings
from shared.events import Event
from tests.effects import TOPIC, affect

ROOT = Path(__file__).parents[3]
GROUP = QUEUE = "chaos"


async def pipeline(platform: Platform, services: Sequence[str]) -> None:
    """Event to job to effect: the relay, a consumer whose events note jobs, and a worker whose jobs have effects."""
    consumer = Consumer(GROUP, {TOPIC: Handler(TOPIC, GROUP, _note)}, platform.database, platform.settings)
    await asyncio.gather(
        main.relay(platform, services),
        forever(GROUP, consumer.live),
        Worker([jobs.Job(QUEUE, _work, slots=2)], platform).run(),
    )


async def _note(session: AsyncSession, event: Event, data: Any) -> None:
    await affect(session, f"event {data.template}")
    await jobs.enqueue(session, QUEUE, data.template, {"what": data.template}, event.time)


async def _work(context: jobs.Context, payload: dict[str, Any]) -> None:
    await asyncio.sleep(0.02)
    async with context.finish() as session:
        await affect(session, f"job {payload['what']}")


PROGRAMS: dict[str, Callable[[Platform, Sequence[str]], Awaitable[None]]] = {
    "serve": main.serve,
    "relay": main.relay,
    "pipeline": pipeline,
}


class Reborn:
    """The program as the test sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = self.next_pid()

    def next_pid(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def kill(self) -> None:
        """``kill -9``; returns when the next one has begun."""
        os.kill(self.pid, signal.SIGKILL)
        self.pid = self.next_pid()


@contextmanager
def reborn(name: str, environ: Mapping[str, str], log: Path) -> Iterator[Reborn]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.cloud.reborn", name],
            cwd=ROOT, env={**os.environ, **environ}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out,
            text=True, preexec_fn=die_with(os.getpid(), signal.SIGKILL),
        )  # fmt: skip
    with process:
        try:
            yield Reborn(process)
        finally:
            process.kill()


def _live(name: str) -> None:
    chosen, parent = settings.load(Settings, os.environ), os.getpid()
    while True:
        child = os.fork()
        if child == 0:
            if follow := die_with(parent, signal.SIGKILL):
                follow()
            os.dup2(2, 1)  # its log is not one of our lines
            asyncio.run(main.run(chosen, [PROGRAMS[name]]))
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _live(sys.argv[1])
