"""One server process on a loopback port: found in a wheel, started, asked until it answers, stopped."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from shared.errors import QurbaniError

HOST = "127.0.0.1"
START_S = 30.0
ANSWER_S = 5.0

_PR_SET_PDEATHSIG = 1


class Port:
    """A free port that stays ours until the server has it.

    It is held by a socket that is bound and never listens. Where both sides set SO_REUSEADDR, as servers do, Linux lets
    the server listen on it and gives the number to nobody else.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, 0))
        self.number: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self.close()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def connect(self) -> socket.socket:
        """A connection to the server on this port."""
        return socket.create_connection((HOST, self.number), ANSWER_S)


class Server:
    """A running program. It is sent ``farewell`` to stop it and, on Linux, by the kernel when its starter dies.

    ``answers`` speaks the server's protocol once and raises ``OSError`` until the server can be used.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        answers: Callable[[], None],
        *,
        farewell: signal.Signals = signal.SIGKILL,
        port: Port | None = None,
        **user: Any,
    ) -> None:
        """``port`` is let go when it is stopped."""
        self._name = Path(command[0]).name
        self._log = folder / f"{self._name}.log"
        self._answers = answers
        self._farewell = farewell
        self._port = port
        self._command, self._how = command, {**surroundings(folder, farewell), **user}
        self.start()

    def start(self) -> None:
        """Also once more, after it was stopped or killed, on the data that it left."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._how
            )

    def wait(self) -> None:
        """Return when the server answers. Raises ``unavailable`` with the end of its log when it does not."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                return self._answers()
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    last = self._log.read_text(errors="replace")[-1000:]
                    raise QurbaniError("unavailable", f"{self._name} did not start: {error}\n{last}") from error
            time.sleep(0.02)

    def kill(self) -> None:
        """``kill -9``."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.send_signal(self._farewell)
        self._process.wait()
        if self._port:
            self._port.close()


def program(package: str, path: str) -> Path:
    """The file ``path`` (may hold ``*``) inside an installed package.

    The package is not imported: some take long, and some write into the user's home. Raises ``missing_extra``.
    """
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        for found in Path(root).glob(path):
            return found
    raise QurbaniError("missing_extra", f"{Path(path).name} of {package} is not here: pip install 'qurbani[demo]'")


def surroundings(folder: Path, farewell: signal.Signals) -> dict[str, Any]:
    """How every program is started: in ``folder``, with next to nothing of the user's environment, dying with us."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {"cwd": folder, "env": kept | {"LC_ALL": "C"}, "preexec_fn": die_with(os.getpid(), farewell)}


def die_with(parent: int, farewell: signal.Signals) -> Callable[[], None] | None:
    """What a child runs before its program, to be sent ``farewell`` when the thread that started it ends. Linux only.

    A thread, because that is what the kernel watches (prctl(2), PR_SET_PDEATHSIG).
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask_kernel() -> None:
        # Runs after the change of user, which would clear it. The parent may have died before it was asked for.
        libc.prctl(_PR_SET_PDEATHSIG, int(farewell))
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel
