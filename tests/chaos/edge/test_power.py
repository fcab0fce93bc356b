"""The power goes, or the process is killed, at any write: what was acknowledged is there, and the box goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.box import ROOT

HERE = Path(__file__).parent
SEED = int(os.environ.get("QURBANI_TEST_SEED", random.SystemRandom().randrange(2**32)))


@pytest.fixture(scope="module")
def shims(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("writing down what a process writes takes a C compiler and Linux")
    built = []
    for name in ("power", "disk"):
        built.append(str(tmp_path_factory.mktemp("shim") / f"{name}.so"))
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", built[-1], HERE / f"{name}.c", "-ldl"], check=True)
    return " ".join(built)


def rounds(shims: str, *given: object) -> Iterator[dict[str, Any]]:
    command = [sys.executable, HERE / "cut_power.py", *map(str, given)]
    environ = {**os.environ, "LD_PRELOAD": shims, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield from map(json.loads, process.stdout)
        finally:
            process.kill()


@pytest.mark.parametrize(
    "count", [40, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)
def test_the_power_goes(shims: str, tmp_path: Path, count: int) -> None:
    """Whatever of the unflushed a disk may have kept."""
    found = list(rounds(shims, "images", tmp_path, SEED, count))
    assert len(found) == count
    assert [each for each in found if each["wrong"]] == [], f"seed {SEED}"
    assert len({len(each["acknowledged"]) for each in found}) >= 4, "it went at few moments only"


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_the_process_is_killed(shims: str, tmp_path: Path, every: int) -> None:
    """Before each write, flush and change of a name, one after the other."""
    found = list(rounds(shims, "kills", tmp_path, every))
    assert len(found) > 100 / every
    assert [each for each in found if each["wrong"]] == []
    assert [each["acknowledged"] for each in found if len(each["acknowledged"]) in (1, 4)], "it was killed early only"


def test_this_would_catch_a_box_that_does_not_wait_for_the_disk(shims: str, tmp_path: Path) -> None:
    with closing(rounds(shims, "images", tmp_path, SEED, 200, "careless")) as found:
        assert any(each["wrong"] for each in found)
