"""A video on its way to the archive or back is in one proved copy at least, whenever its worker dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.servers import Servers
from tests.cloud_hub import copied_room


def die(servers: Servers, template: str, folder: Path, direction: str, runs: int) -> Any:
    with copied_room(servers, template) as room:
        places = {"QURBANI_DATA": str(folder / "hot"), "QURBANI_COLD_STORE": f"file://{folder / 'cold'}"}
        work = subprocess.run(
            [sys.executable, "-m", "tests.chaos.cloud.uploads.archive_at_work", direction, str(runs)],
            env=os.environ | room.environ() | places, capture_output=True, text=True, check=False)
    assert work.returncode == 0, work.stderr[-2000:]
    return json.loads(work.stdout.splitlines()[-1])


@pytest.mark.parametrize("direction", ["go", pytest.param("come", marks=pytest.mark.slow)])
def test_killed_at_each_position(servers: Servers, template: str, tmp_path: Path, direction: str) -> None:
    found = die(servers, template, tmp_path, direction, 0)
    assert found["problems"] == []
    assert found["killed"] == found["tried"] - 1 > 8, found


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("direction", ["go", "come"])
def test_killed_five_hundred_times(servers: Servers, template: str, tmp_path: Path, direction: str) -> None:
    found = die(servers, template, tmp_path, direction, 250)
    assert found["problems"] == []
    assert found["killed"] > 50, found
