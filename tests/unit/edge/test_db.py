from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlite_utils

from demo.answers import wait_for
from edge import db as module
from edge import sqlite
from edge.db import Database, Tx
from shared.errors import QurbaniError

ROOT = Path(__file__).parents[3]


def test_every_connection_is_durable(db: Database) -> None:
    """2 is FULL: a commit returns after its fsync."""
    for run in (db.read, db.write):
        assert run(lambda tx: tx.execute("PRAGMA synchronous").fetchone()) == (2,)
        assert run(lambda tx: tx.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
        assert run(lambda tx: tx.execute("PRAGMA foreign_keys").fetchone()) == (1,)


@pytest.mark.parametrize("weaker", ["OFF", "NORMAL"])
def test_a_weaker_connection_is_refused(db: Database, weaker: str) -> None:
    connection = sqlite_utils.Database(sqlite.library().connect(db.path))
    connection.execute(f"PRAGMA synchronous = {weaker}")
    with pytest.raises(QurbaniError, match="not durable"):
        module.assert_durable(connection)
    connection.close()


def test_a_failed_write_leaves_nothing(db: Database) -> None:
    def work(tx: Tx) -> None:
        tx["blob"].insert({"id": "a", "size": 1})
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - its own
        db.write(work)
    assert db.rows("SELECT * FROM blob") == []
    db.write(lambda tx: tx["blob"].insert({"id": "b", "size": 1}))


def test_what_waits_for_a_commit_is_committed_together(db: Database) -> None:
    """One that fails in the middle takes nothing of the others with it, and each hears of its own."""
    inside, leave, said = threading.Event(), threading.Event(), dict[str, object]()

    def first(tx: Tx) -> None:
        inside.set()
        leave.wait(10)

    def write(name: str) -> None:
        def work(tx: Tx) -> str:
            tx["blob"].insert({"id": name, "size": 1})
            if name == "bad":
                raise ValueError(name)
            return name

        try:
            said[name] = db.write(work)
        except ValueError as error:
            said[name] = repr(error)

    before = db.rows("PRAGMA data_version")
    threads = [threading.Thread(target=db.write, args=[first])]
    threads[0].start()
    inside.wait(10)
    names = ["a", "bad", "b", "c"]
    threads += [threading.Thread(target=write, args=[name]) for name in names]
    for thread in threads[1:]:
        thread.start()
    wait_for("all of them to wait", lambda: len(db._waiting) == len(names), 10)
    commits: list[int] = []
    commit = db._commit
    db._commit = lambda writes: (commits.append(len(writes)), commit(writes))[1]  # type: ignore[method-assign]
    leave.set()
    for thread in threads:
        thread.join(10)
    assert commits == [len(names)], "one flush for all"
    assert said == {"a": "a", "bad": "ValueError('bad')", "b": "b", "c": "c"}
    assert sorted(row["id"] for row in db.rows("SELECT id FROM blob")) == ["a", "b", "c"]
    assert db.rows("PRAGMA data_version") != before


def test_readers_cannot_write(db: Database) -> None:
    with pytest.raises(sqlite.library().OperationalError, match="readonly"):
        db.read(lambda tx: tx.execute("INSERT INTO blob (id, size) VALUES ('a', 1)"))


def test_a_reader_is_not_held_up_by_a_writer(db: Database) -> None:
    inside, leave = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        tx["blob"].insert({"id": "a", "size": 1})
        inside.set()
        leave.wait(10)

    writer = threading.Thread(target=db.write, args=[slow])
    writer.start()
    inside.wait(10)
    assert db.rows("SELECT * FROM blob") == []
    leave.set()
    writer.join()
    assert [row["id"] for row in db.rows("SELECT * FROM blob")] == ["a"]


BUMP = """
import sys
from pathlib import Path
from edge.db import Database

def bump(tx):
    cursor = tx.execute("SELECT cursor FROM link").fetchone()[0]
    tx.execute("UPDATE link SET cursor = ?", [cursor + 1])

db = Database(Path(sys.argv[1]))
for _ in range(50):
    db.write(bump)
"""


def test_writes_of_threads_and_processes_are_put_in_order(db: Database) -> None:
    """Each reads, then writes: without the lock at BEGIN, updates would be refused or lost."""

    def bump(tx: Tx) -> None:
        cursor = tx.execute("SELECT cursor FROM link").fetchone()[0]
        tx.execute("UPDATE link SET cursor = ?", [cursor + 1])

    processes = [subprocess.Popen([sys.executable, "-c", BUMP, str(db.path)], cwd=ROOT) for _ in range(2)]
    threads = [threading.Thread(target=lambda: [db.write(bump) for _ in range(50)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert db.rows("SELECT cursor FROM link") == [{"cursor": 200}]


def test_a_backup_is_whole_and_keeps_the_locks(db: Database, tmp_path: Path) -> None:
    """Taken in the middle of a write of the same process; afterwards another process still cannot write."""
    db.write(lambda tx: tx["blob"].insert({"id": "before", "size": 1}))

    def work(tx: Tx) -> str:
        tx["blob"].insert({"id": "uncommitted", "size": 1})
        db.backup(tmp_path / "copy.db")
        code = (
            "import sys, edge; from edge import sqlite\n"
            "sqlite.library().connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        )
        other = [sys.executable, "-c", code, str(db.path)]
        return subprocess.run(other, cwd=ROOT, capture_output=True, text=True, check=False).stderr

    assert "database is locked" in db.write(work)
    copy = Database(tmp_path / "copy.db")
    assert [row["id"] for row in copy.rows("SELECT * FROM blob")] == ["before"]
    copy.close()


def test_nobody_copies_the_live_file() -> None:
    """Opening and closing it behind SQLite's back drops the locks of the whole process."""
    sources = [*(ROOT / "edge").rglob("*.py"), *(ROOT / "commands").glob("edge.py")]
    assert not [path for path in sources if "shutil.copy" in path.read_text() or "copyfile" in path.read_text()]


def test_a_folder_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "eid #1?mode=memory %41"
    folder.mkdir()
    Database(folder / "edge.db").close()
    assert (folder / "edge.db").exists()
