"""Huey as a bell, in processes of its own: its consumer wants the main thread."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path

from edge import sqlite
from edge.queue import JsonSerializer, Queue

ROOT = Path(__file__).parents[3]

CODE = """
import sys
from pathlib import Path
from edge.queue import Queue

def look():
    print("look", flush=True)

queue = Queue(Path(sys.argv[1]), look)
queue.ring(int(sys.argv[2]))
print("ready", flush=True)
queue.run()
"""


def consumer(path: Path, wanted: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(path), str(wanted)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=30)


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def test_it_looks_as_often_as_it_was_rung_for(tmp_path: Path) -> None:
    process = consumer(tmp_path / "queue.db", 3)
    assert lines(process, 4) == ["ready", "look", "look", "look"]
    assert stop(process) == ("", "")
    assert process.returncode == 0


def test_ringing_again_while_nobody_looks_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    queue = Queue(path, lambda: None)
    for _ in range(5):
        queue.ring(2)
    connection = sqlite.library().connect(path)
    assert connection.execute("SELECT count(*) FROM task").fetchone() == (2,)
    stored = [row[0] for row in connection.execute("SELECT data FROM task")]
    connection.close()
    assert all(JsonSerializer().deserialize(data).args == [] for data in stored)


def test_a_planted_pickle_is_not_run(tmp_path: Path) -> None:
    """Who can write to the queue's file must not thereby run code."""
    path = tmp_path / "queue.db"
    Queue(path, lambda: None)
    planted = tmp_path / "planted"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (planted,)

    connection = sqlite.library().connect(path)
    connection.execute("INSERT INTO task (queue, data, priority) VALUES ('huey', ?, 9)", [pickle.dumps(Evil())])
    connection.commit()
    connection.close()
    process = consumer(path, 2)
    assert lines(process, 2) == ["ready", "look"]
    stop(process)
    assert not planted.exists()
    pickle.loads(pickle.dumps(Evil()))
    assert planted.exists()
