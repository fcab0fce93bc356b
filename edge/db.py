"""The box's database: one connection that writes, one that can only read.

Several processes of a box open the same file, each with a pair of its own; SQLite's lock puts their writes
in order. Never copy the file: closing a foreign descriptor drops SQLite's locks. See :meth:`Database.backup`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import sqlite_utils

from edge import feed, migrations, sqlite
from shared.errors import QurbaniError

T = TypeVar("T")
Tx = sqlite_utils.Database
"""A connection inside an open transaction."""

BUSY_S = 30.0
"""How long a write waits for another process's write; each of them is milliseconds."""

_FULL = 2
_FULL_DISK = (13, 4874)
"""SQLITE_FULL, and SQLITE_IOERR_SHMSIZE where the index of the write-ahead log could not grow."""

MAX_TOGETHER = 64
"""Writes in one transaction, so that none waits for too many others."""

_IO_ERROR = 10
"""SQLITE_IOERR, in the low byte of each kind of it. SQLite has rolled back; what it had committed stays."""


class _Write:
    """Something to be written, and what came of it once ``is_over``."""

    def __init__(self, work: Callable[[Tx], object]) -> None:
        self._work = work
        self.result: object = None
        self.failure: BaseException | None = None
        self.is_over = False

    def run(self, tx: Tx) -> None:
        """Do it, or nothing of it. Raises what is wrong with the database, and nothing that is wrong with the work."""
        self.failure = None
        tx.execute("SAVEPOINT each")
        try:
            self.result = self._work(tx)
        except sqlite.library().OperationalError as error:
            if error.sqlite_errorcode in _FULL_DISK or error.sqlite_errorcode & 0xFF == _IO_ERROR:
                raise  # SQLite may have rolled back everything
            self._undo(tx, error)
        except BaseException as error:
            self._undo(tx, error)
        else:
            tx.execute("RELEASE each")

    def _undo(self, tx: Tx, error: BaseException) -> None:
        self.failure = error
        tx.execute("ROLLBACK TO each")
        tx.execute("RELEASE each")


class Database:
    """Opens ``path``, brings its schema up to date, and asserts that what is committed is on the disk."""

    def __init__(self, path: Path, give_room: Callable[[], bool] = lambda: False) -> None:
        """``give_room`` makes some when the disk is full, and says whether it could."""
        self.path = path
        self._give_room = give_room
        self._write_lock = threading.Lock()
        self._waiting = deque[_Write]()
        self._read_lock = threading.Lock()
        self._writer = _open(path)
        with _transaction(self._writer, "BEGIN IMMEDIATE") as tx:
            migrations.apply(tx)
            feed.make_views(tx)
        self._reader = _open(path, read_only=True)

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run ``work`` as one transaction: all of it is on the disk when this returns, or nothing is.

        ``work`` must be short and do nothing but SQL: every writer of the box waits for it. It runs once more if the
        disk was full and room could be given. Raises ``storage_full`` if not, and ``disk_fault`` where the disk fails.

        What several threads want to write while a commit is under way is committed together, by the first of them, and
        acknowledged together: a flush costs as much for twenty as for one. Each is a savepoint of its own, so one that
        fails takes nothing of the others with it.
        """
        wanted = _Write(work)
        self._waiting.append(wanted)
        with self._write_lock:
            while not wanted.is_over:
                self._write_all([self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_TOGETHER))])
        if wanted.failure is not None:
            raise wanted.failure
        return cast(T, wanted.result)

    def _write_all(self, writes: Sequence[_Write]) -> None:
        """One transaction of all ``writes``, each of which is over when this returns."""
        failure: BaseException | None = None
        try:
            try:
                self._commit(writes)
            except sqlite.library().OperationalError as error:
                if error.sqlite_errorcode not in _FULL_DISK:
                    raise
                if not self._give_room():
                    raise QurbaniError("storage_full") from error
                self._commit(writes)
        except sqlite.library().OperationalError as error:
            failure = error
            if error.sqlite_errorcode & 0xFF == _IO_ERROR:
                failure = QurbaniError("disk_fault", f"the database cannot be written: {error}")
        except BaseException as error:
            failure = error
        for each in writes:
            each.failure, each.is_over = failure or each.failure, True

    def _commit(self, writes: Sequence[_Write]) -> None:
        with _transaction(self._writer, "BEGIN IMMEDIATE") as tx:
            for each in writes:
                each.run(tx)

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run ``work`` on one unchanging view of the data. A write in it fails."""
        with self._read_lock, _transaction(self._reader, "BEGIN") as tx:
            return work(tx)

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """The rows of one query."""
        return self.read(lambda tx: list(tx.query(sql, parameters)))

    def backup(self, target: Path) -> None:
        """A consistent copy, page for page, made by SQLite itself while others write. Replaces what ``target`` held."""
        copy = sqlite.library().connect(target, isolation_level=None)
        try:
            copy.execute("PRAGMA synchronous = OFF")  # whoever needs it durable flushes the file
            with self._read_lock:
                self._reader.conn.backup(copy)
        finally:
            copy.close()

    def version(self) -> int:
        """Another number whenever somebody else has committed since; means nothing by itself."""
        with self._read_lock:
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


def one(tx: Tx, sql: str, *parameters: object) -> dict[str, Any] | None:
    """The first row of a query, if there is one. UUIDs may stand among the parameters."""
    texts = [str(value) if isinstance(value, UUID) else value for value in parameters]
    return next(iter(tx.query(sql, texts)), None)


def _open(path: Path, *, read_only: bool = False) -> sqlite_utils.Database:
    uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "")
    connection = sqlite.library().connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db = sqlite_utils.Database(connection)
    if not read_only:
        db.enable_wal()
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    assert_durable(db)
    return db


def assert_durable(db: sqlite_utils.Database) -> None:
    """What is acknowledged to a person must survive the cable being pulled in the next instant."""
    found = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
    if found != {"synchronous": _FULL, "journal_mode": "wal"}:
        raise QurbaniError("misconfigured", f"the database is not durable: {found}")


@contextmanager
def _transaction(db: sqlite_utils.Database, begin: str) -> Iterator[Tx]:
    db.execute(begin)
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise
