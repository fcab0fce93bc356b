from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlite_utils

from edge import migrations, sqlite
from edge.db import Database

STEPS = ["node", "feed", "capture", "jobs", "sticks", "manifests", "told", "identities", "claims", "events", "pruned"]
"""As they have shipped. Add to the end; never change what stands here."""

OLD = Path(__file__).parent / "old"
"""Databases of earlier releases, as SQL."""


def schema(db: Database) -> dict[str, str]:
    rows = db.rows("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {row["name"]: re.sub(r"\s+", " ", row["sql"]) for row in rows}


def test_the_steps_that_shipped_are_still_there() -> None:
    assert [step.name for step in migrations.steps._migrations][: len(STEPS)] == STEPS


@pytest.mark.parametrize("stop_before", STEPS)
def test_every_start_leads_to_the_same_schema(tmp_path: Path, db: Database, stop_before: str) -> None:
    path = tmp_path / "behind.db"
    behind = sqlite_utils.Database(sqlite.library().connect(path))
    migrations.steps.apply(behind, stop_before=stop_before)
    behind.close()
    caught_up = Database(path)
    assert schema(caught_up) == schema(db)
    caught_up.close()


@pytest.mark.parametrize("old", sorted(OLD.glob("*.sql")), ids=lambda path: path.stem)
def test_a_database_of_an_earlier_release_opens(tmp_path: Path, db: Database, old: Path) -> None:
    path = tmp_path / "old.db"
    connection = sqlite.library().connect(path)
    connection.executescript(old.read_text())
    connection.close()
    opened = Database(path)
    assert schema(opened) == schema(db)
    assert opened.rows("SELECT count(*) AS ops, max(seq) AS head FROM op") == [{"ops": 3, "head": 3}]
    opened.close()


def test_a_step_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "edge.db"
    broken = sqlite_utils.migrations.Migrations("edge")
    for step in migrations.steps._migrations[:2]:
        broken(name=step.name)(step.fn)

    @broken()
    def bad(tx: sqlite_utils.Database) -> None:
        tx.execute("CREATE TABLE half (id INTEGER)")
        tx.execute("INSERT INTO nowhere VALUES (1)")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "steps", broken)
        with pytest.raises(sqlite.library().OperationalError):
            Database(path)
    connection = sqlite.library().connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == []
    connection.close()
    Database(path).close()
