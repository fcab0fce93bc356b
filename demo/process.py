"""One of our own commands as a process that dies with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from demo.answers import wait_for
from demo.servers.server import die_with
from shared.errors import QurbaniError

STOP_S = 20

T = TypeVar("T")


class Process:
    """``qurbani ARGUMENTS`` in the background; what it prints goes to ``log``."""

    def __init__(self, *arguments: str, environ: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "qurbani", *arguments]
        self._environ = {**os.environ, **environ}
        self._log = log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, env=self._environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=die_with(os.getpid(), signal.SIGTERM),
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, what: str, look: Callable[[], T | None], timeout_s: float = 60) -> T:
        """As :func:`demo.answers.wait_for`, but a process that has ended is not waited for."""

        def look_while_running() -> T | None:
            if not self.is_running():
                raise QurbaniError("unavailable", f"{what} ended with exit code {self._process.returncode}")
            return look()

        return wait_for(what, look_while_running, timeout_s)

    def stop(self) -> None:
        """Ask it to end, and wait; it is killed when it takes longer than ``STOP_S``."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """``kill -9``."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def command(*arguments: str, environ: Mapping[str, str]) -> str:
    """Run ``qurbani ARGUMENTS`` to its end; returns what it printed. Raises ``internal`` with its complaint."""
    done = subprocess.run(
        [sys.executable, "-m", "qurbani", *arguments],
        env={**os.environ, **environ}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise QurbaniError("internal", f"qurbani {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
