"""Programs beside this file, run with a library of ours between them and C's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.box import ROOT

HERE = Path(__file__).parent


def built(name: str, folder: Path) -> Path:
    """The library of ``name``.c, made in ``folder``. Skips the test where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a library between a program and C's takes a C compiler and Linux")
    library = folder / f"{name}.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, HERE / f"{name}.c", "-ldl"], check=True)
    return library


def told(program: str, library: Path, *given: object) -> Iterator[dict[str, Any]]:
    """The JSON lines of ``program``.py, as they come. It ends when nobody wants more."""
    command = [sys.executable, HERE / f"{program}.py", *map(str, given)]
    environ = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield from map(json.loads, process.stdout)
        finally:
            process.kill()
