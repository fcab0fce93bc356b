"""The box's database: one connection that writes, one that can only read.

Several processes of a box open the same file, each with a pair of its own; SQLite's lock puts their writes
in order. Never copy the file: closing a foreign descriptor drops SQLite's locks. See :meth:`Database.backup`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
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

_IO_ERROR = 10
"""SQLITE_IOERR, in the low byte of each kind of it. SQLite has rolled back; what it had committed stays."""


class Database:
    """Opens ``path``, brings its schema up to date, and asserts that what is committed is on the disk."""

    def __init__(self, path: Path, give_room: Callable[[], bool] = lambda: False) -> None:
        """``give_room`` makes some when the disk is full, and says whether it could."""
        self.path = path
        self._give_room = give_room
        self._write_lock = threading.Lock()
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
        """
        with self._write_lock:
            try:
                return self._write(work)
            except sqlite.library().OperationalError as error:
                if error.sqlite_errorcode not in _FULL_DISK:
                    if error.sqlite_errorcode & 0xFF == _IO_ERROR:
                        raise QurbaniError("disk_fault", f"the database cannot be written: {error}") from error
                    raise
                if not self._give_room():
                    raise QurbaniError("storage_full") from error
                return self._write(work)

    def _write(self, work: Callable[[Tx], T]) -> T:
        with _transaction(self._writer, "BEGIN IMMEDIATE") as tx:
            return work(tx)

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
