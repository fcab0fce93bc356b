"""One sound SQLite library in each process (and what two of them would do)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge import sqlite
from shared.errors import QurbaniError


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
    ],
)
def test_releases_with_the_wal_reset_race(version: tuple[int, int, int], affected: bool) -> None:
    assert sqlite.has_wal_race(version) is affected


def test_everybody_uses_the_same_library() -> None:
    sqlite.check()


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_a_second_library_is_refused() -> None:
    """huey was imported before ``edge`` could choose: it holds the library of the standard library."""
    answer = python("import huey.storage, edge.sqlite; edge.sqlite.check()")
    if "pysqlite3" not in sys.modules:
        pytest.skip("pysqlite3 is not installed here, there is only one library")
    assert "two_sqlites" in answer.stderr


def test_an_unsound_library_is_refused() -> None:
    answer = python(
        "import sys, sqlite3; sys.modules['pysqlite3'] = None\n"
        "from edge import sqlite\n"
        "sqlite.library().sqlite_version_info = (3, 40, 1)\n"
        "sqlite.check()"
    )
    assert "unsound_sqlite" in answer.stderr


def test_the_check_names_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite.library(), "sqlite_version_info", (3, 50, 2))
    with pytest.raises(QurbaniError, match="unsound_sqlite"):
        sqlite.check()
