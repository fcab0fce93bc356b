"""One SQLite library for each process, and one that is known to be sound.

Two libraries on one file break each other's POSIX locks (closing any descriptor of a file drops all locks
that the process holds on it), so a write that was acknowledged may be lost. sqlite-utils prefers
``pysqlite3`` when it is installed, huey imports ``sqlite3``: both must mean the same one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from shared.errors import QurbaniError

USERS = ("sqlite_utils.utils", "huey.storage")
"""Modules of other people which open files through a name ``sqlite3`` of their own."""

# The WAL-reset race, https://sqlite.org/wal.html#walresetbug: in every release from 3.7.0 to 3.51.2,
# except for two branches that took the fix over.
_RACE_FROM, _RACE_UNTIL = (3, 7, 0), (3, 51, 3)
_MENDED = {(3, 44): 6, (3, 50): 7}


def choose() -> None:
    """Let the name ``sqlite3`` mean the library that sqlite-utils will take. Before anything imports it."""
    try:
        library = import_module("pysqlite3")
    except ModuleNotFoundError:
        return
    sys.modules["sqlite3"] = library
    sys.modules["sqlite3.dbapi2"] = import_module("pysqlite3.dbapi2")


def library() -> ModuleType:
    """The library behind the name ``sqlite3`` in this process."""
    return import_module("sqlite3")


def has_wal_race(version: tuple[int, ...]) -> bool:
    """Whether a release of SQLite can damage a WAL file that several connections write."""
    mended = _MENDED.get((version[0], version[1]))
    if mended is not None and version[2] >= mended:
        return False
    return _RACE_FROM <= version < _RACE_UNTIL


def check() -> None:
    """Refuse to go on with two libraries, or with one that can lose what it acknowledged."""
    ours = library()
    for user in USERS:
        theirs = import_module(user).sqlite3
        if theirs is not ours:
            raise QurbaniError("two_sqlites", f"{user} uses {theirs.__name__}, everybody else {ours.__name__}")
    if has_wal_race(ours.sqlite_version_info):
        raise QurbaniError("unsound_sqlite", f"SQLite {ours.sqlite_version} of {ours.__name__}")
