"""The command line as its user meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import qurbani

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "qurbani", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_lists_every_noun() -> None:
    answer = run("--help")
    assert answer.returncode == 0
    assert all(noun in answer.stdout for noun in qurbani.NOUNS)


def test_an_unknown_noun_is_a_usage_error() -> None:
    answer = run("sacrifice")
    assert answer.returncode == 2
    assert "sacrifice" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("noun", qurbani.NOUNS)
def test_every_noun_has_help(noun: str) -> None:
    answer = run(noun, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "Usage" in answer.stdout


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qurbani, "import_module", _without_huey)
    monkeypatch.setattr(sys, "argv", ["qurbani", "edge", "status"])
    with pytest.raises(SystemExit) as end:
        qurbani.main()
    assert "pip install 'qurbani[edge]'" in str(end.value)


def _without_huey(name: str) -> None:
    raise ModuleNotFoundError(f"No module named 'huey' for {name}", name="huey")
