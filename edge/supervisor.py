"""Keeps the processes of a box running, and sees to it that none of them outlives it.

Each child holds the reading end of a pipe as its standard input; when the supervisor dies, however it dies,
the pipe closes and the child ends. Each child also holds the lock of the data folder, so the next supervisor
waits until the last process of a killed one is gone: there are never two writers of one upload.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import PIPE

import msgspec
import structlog

from shared.errors import QurbaniError

FIRST_RESTART_S = 0.1
MAX_RESTART_S = 30.0
STEADY_S = 60.0
"""A process that lived this long has earned a quick restart."""

STOP_S = 10.0
"""How long a process may take to finish what it is doing; after that it is killed, which is safe."""

LOCK_S = 5.0

_log = structlog.get_logger(__name__)


def lock(path: Path) -> int:
    """Take the lock of a data folder; it is held as long as any process has the returned descriptor.

    Raises ``already_running`` when it is not free within :data:`LOCK_S`.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                os.close(fd)
                raise QurbaniError("already_running", f"{path} is held by another process") from error
            time.sleep(0.05)


def is_locked(path: Path) -> bool:
    """Whether a box runs on this folder."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def die_with_parent() -> None:
    """In a child: end at once when standard input closes. Ending at any moment is safe, so nothing is tidied."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def told_by_parent() -> bytes:
    """In a child, and before all else: what its :class:`Program` had to tell."""
    told = b""
    while not told.endswith(b"\n"):
        if not (piece := os.read(0, 1)):
            os._exit(1)
        told += piece
    return told[:-1]


class Program(msgspec.Struct, frozen=True):
    """What to start, the descriptors that it inherits, and a line that it is told over its standard input.

    That is for secrets: others can read arguments, and whoever inherits the environment hands it on.
    """

    arguments: Sequence[str]
    keep: Sequence[int]
    told: bytes = b""


class Supervisor:
    """Runs programs, each under its name."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        self._programs = programs
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; returns when every child has ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with asyncio.TaskGroup() as group:
            for name, program in self._programs.items():
                group.create_task(self._keep_running(name, program))

    async def _keep_running(self, name: str, program: Program) -> None:
        quick_ends = 0
        while not self._stop.is_set():
            started = time.monotonic()
            code = await self._run_once(program)
            quick_ends = 0 if time.monotonic() - started > STEADY_S else quick_ends + 1
            if not self._stop.is_set():
                delay = min(FIRST_RESTART_S * 2 ** (quick_ends - 1), MAX_RESTART_S)
                _log.warning("process_ended", process=name, code=code, restart_in_s=delay)
                await self._pause(delay)

    async def _run_once(self, program: Program) -> int:
        # A session of its own: Ctrl-C at the terminal is for the supervisor, which then stops its children.
        process = await asyncio.create_subprocess_exec(
            *program.arguments, stdin=PIPE, pass_fds=program.keep, start_new_session=True
        )
        assert process.stdin is not None
        process.stdin.write(program.told + b"\n")
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            process.terminate()
            await asyncio.wait({ended}, timeout=STOP_S)
        if not ended.done():
            process.kill()
        return await ended

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
