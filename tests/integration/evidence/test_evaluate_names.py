"""Spoken names judged from the command line, with the recogniser that installs as a package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.evidence import app
from shared.errors import QurbaniError

VOICES = Path(__file__).parents[3] / "demo" / "voices"
SITE = ["Khadija Mansouri", "Ahmed Benali", "Moussa Keita", "Omar Farouk Bello"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(VOICES / "khadija_mansouri.opus", tmp_path)
    claims = [{"name": name, "true": name == SITE[0], "kind": "right" if name == SITE[0] else "wrong"} for name in SITE]
    row = {"file": "khadija_mansouri.opus", "lang": "en", "claims": claims, "cohort": SITE, "said": SITE[:1]}
    (tmp_path / "names.json").write_text(json.dumps([row]))
    return tmp_path


def test_recordings_are_judged_and_their_words_kept(folder: Path) -> None:
    arguments = ["evaluate", "names", str(folder), "--model", "whisper-tiny-en"]
    report = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    ours = report["ways"]["by sound"]
    assert (ours["all"]["true_accepted"]["hits"], ours["all"]["false_accepted"]["hits"]) == (1, 0)
    assert ours["swapped"] == {**ours["swapped"], "hits": 3, "total": 3}
    assert report["recogniser"]["en"]["name"] == "whisper-tiny-en"
    (kept,) = (folder / "transcripts").rglob("*.json")
    kept.write_text('{"words": [["Moussa", 1, 1.4, 0.9], ["Keita", 1.4, 2, 0.9]], "seconds": 1}')
    again = CliRunner().invoke(app, arguments)
    assert "right" in again.stdout
    report = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert report["ways"]["by sound"]["by_kind"]["right"]["hits"] == 0


def test_a_file_without_sound_is_named(folder: Path) -> None:
    (folder / "khadija_mansouri.opus").write_bytes(b"nothing")
    result = CliRunner().invoke(app, ["evaluate", "names", str(folder), "--model", "whisper-tiny-en"])
    assert isinstance(result.exception, QurbaniError)
    assert result.exception.code == "bad_dataset"
