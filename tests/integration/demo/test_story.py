"""``qurbani demo --once`` as its user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared"


@pytest.mark.services
@pytest.mark.timeout(300)
@pytest.mark.parametrize("given", [pytest.param("clips and models", marks=pytest.mark.slow), "nothing"])
def test_every_check_of_the_story_is_true(given: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("QURBANI_MEDIA", "QURBANI_MODELS")}
    if given != "nothing":
        if not SHARED.exists():
            pytest.skip("needs the clips and the model that may lie beside the checkout")
        environ |= {"QURBANI_MEDIA": str(SHARED / "media"), "QURBANI_MODELS": str(SHARED / "models")}
    # Not tmp_path: sockets have short names.
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "qurbani", "demo", "--once", "--json"],
            cwd=ROOT, env=environ | {"TMPDIR": folder}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        left = os.listdir(folder)
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert all(check["is_true"] for check in checks)
    found = {check["step"]: check["found"] for check in checks}
    assert found["sacrifices at the hub"] == "3"
    if given != "nothing":
        assert found["the video plays"] == "True"
    assert left == [], "the demo left something behind"
