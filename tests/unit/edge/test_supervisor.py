from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge import supervisor
from shared.errors import QurbaniError

ROOT = Path(__file__).parents[3]

CODE = """
import asyncio, sys
from pathlib import Path
from edge import supervisor

child = '''
import sys, time
from pathlib import Path
from edge.supervisor import die_with_parent
die_with_parent()
log = Path(sys.argv[1])
log.open("a").write(sys.argv[2] + chr(10))
time.sleep(0 if log.with_name("crash").exists() else 60)
'''
folder = Path(sys.argv[1])
held = supervisor.lock(folder / "lock")
programs = {
    name: supervisor.Program([sys.executable, "-c", child, str(folder / name), name], [held]) for name in ("a", "b")
}
asyncio.run(supervisor.Supervisor(programs).run())
print("stopped")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A supervisor with two children, both running."""
    with supervising(tmp_path) as process:
        until(lambda: starts(tmp_path, "a") == starts(tmp_path, "b") == 1)
        yield process


@contextmanager
def supervising(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def starts(folder: Path, name: str) -> int:
    log = folder / name
    return len(log.read_text().splitlines()) if log.exists() else 0


def children(process: subprocess.Popen[str]) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in found.split()]


def running(pid: int) -> bool:
    try:
        return state(Path(f"/proc/{pid}")) != "Z"
    except FileNotFoundError:
        return False


def freeze(pid: int) -> None:
    """SIGSTOP takes hold thread by thread; until then the one that watches the parent could still end the child."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: all(state(thread) == "T" for thread in Path(f"/proc/{pid}/task").iterdir()))


def state(process: Path) -> str:
    return (process / "stat").read_text().rsplit(")", 1)[1].split()[0]


def until(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_killed_child_comes_back(tmp_path: Path, tree: subprocess.Popen[str]) -> None:
    for pid in children(tree):
        os.kill(pid, signal.SIGKILL)
    until(lambda: starts(tmp_path, "a") == starts(tmp_path, "b") == 2)
    assert len(children(tree)) == 2


def test_a_child_that_cannot_live_is_tried_ever_more_slowly(tmp_path: Path, tree: subprocess.Popen[str]) -> None:
    (tmp_path / "crash").touch()
    os.kill(children(tree)[0], signal.SIGKILL)
    time.sleep(2.5)
    # Restarts after 0.1, 0.2, 0.4, 0.8 s, each with its own start-up time.
    assert 2 <= starts(tmp_path, "a") + starts(tmp_path, "b") - 1 <= 6


def test_sigterm_stops_everything(tmp_path: Path, tree: subprocess.Popen[str]) -> None:
    family = children(tree)
    tree.send_signal(signal.SIGTERM)
    out, _ = tree.communicate(timeout=20)
    assert (tree.returncode, out) == (0, "stopped\n")
    assert not any(running(pid) for pid in family)


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path, tree: subprocess.Popen[str]) -> None:
    family = children(tree)
    tree.kill()
    until(lambda: not any(running(pid) for pid in family), seconds=5)


def test_a_new_supervisor_waits_for_the_orphans_of_a_killed_one(tmp_path: Path, tree: subprocess.Popen[str]) -> None:
    frozen = children(tree)[0]
    freeze(frozen)
    tree.kill()
    tree.wait()
    with supervising(tmp_path):
        time.sleep(1)
        assert starts(tmp_path, "a") == starts(tmp_path, "b") == 1
        os.kill(frozen, signal.SIGCONT)
        until(lambda: starts(tmp_path, "a") == starts(tmp_path, "b") == 2)


def test_a_folder_has_one_supervisor(
    tmp_path: Path, tree: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOCK_S", 0.1)
    assert supervisor.is_locked(tmp_path / "lock")
    with pytest.raises(QurbaniError, match="already_running"):
        supervisor.lock(tmp_path / "lock")
    assert not supervisor.is_locked(tmp_path / "another")
