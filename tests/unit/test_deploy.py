"""The units of systemd start what the images of Docker start, and what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
ANALYZE = shutil.which("systemd-analyze")

EXPOSED = 2.5
"""What `systemd-analyze security` may count at most; 10 is a unit that nothing is taken from."""


def read(unit: str) -> list[tuple[str, str]]:
    """The settings of a unit in their order; an instance is read as its template says."""
    name, _, instance = unit.partition("@")
    path = UNITS / (f"{name}@.service" if instance else unit)
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=")[::2] for line in lines if line and line[0] not in "#[")
    return [(key, value.replace("%i", instance.removesuffix(".service"))) for key, value in pairs]


def services() -> list[str]:
    """All that is started; of a template those instances that the target wants."""
    wanted = dict(read("qurbani-cloud.target"))["Wants"].split()
    return [*wanted, *(path.name for path in UNITS.glob("*.service") if "@" not in path.name)]


def commands(unit: str, kind: str = "ExecStart") -> list[list[str]]:
    """Its command lines, from `qurbani` on."""
    lines = [value.split() for key, value in read(unit) if key == kind]
    assert all(line[0] == "/opt/qurbani/bin/qurbani" for line in lines)
    return [line[1:] for line in lines]


def image(dockerfile: str) -> list[str]:
    """What an image runs."""
    text = (ROOT / dockerfile).read_text()
    words = [json.loads(re.search(rf"^{name} (\[.*\])$", text, re.M)[1]) for name in ("ENTRYPOINT", "CMD")]  # type: ignore[index]
    return [word for part in words for word in part]


@pytest.mark.parametrize("unit", services())
def test_each_line_is_a_command(unit: str) -> None:
    lines = [line for kind in ("ExecStartPre", "ExecStart") for line in commands(unit, kind)]
    assert lines
    for noun, *rest in lines:
        answer = CliRunner().invoke(import_module(f"commands.{noun}").app, [*rest, "--help"])
        assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize(
    ("unit", "dockerfile"),
    [("qurbani-edge.service", "Dockerfile.edge"), ("qurbani-cloud@serve.service", "Dockerfile.cloud")],
)
def test_a_unit_runs_what_the_image_runs(unit: str, dockerfile: str) -> None:
    assert [["qurbani", *line] for line in commands(unit)] == [image(dockerfile)]
    built, variables = (ROOT / dockerfile).read_text(), dict(read(unit))["Environment"].split()
    assert all(variable in built for variable in ["PATH=/opt/qurbani/bin:", *variables])


@pytest.mark.parametrize("unit", services())
def test_a_unit_is_of_its_own_user_and_starts_again(unit: str) -> None:
    said = dict(read(unit))
    assert said["User"] == "qurbani"
    assert (said["NoNewPrivileges"], said["ProtectSystem"], said["Restart"]) == ("yes", "strict", "always")
    assert said["CapabilityBoundingSet"] == ""
    assert "WatchdogSec" not in said, "nothing here reports to a watchdog"


@pytest.mark.skipif(ANALYZE is None, reason="there is no systemd on this machine")
def test_systemd_understands_them(tmp_path: Path) -> None:
    """As written, but for the program, which does not lie there on this machine."""
    for path in UNITS.iterdir():
        program = str(Path(sys.executable).with_name("qurbani"))
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/qurbani/bin/qurbani", program))
    (tmp_path / "qurbani-edge.service.d").mkdir()
    (tmp_path / "edge-key.conf").rename(tmp_path / "qurbani-edge.service.d" / "key.conf")
    names = [*services(), "qurbani-cloud.target"]
    for instance in names:
        if "@" in instance:
            shutil.copy(tmp_path / "qurbani-cloud@.service", tmp_path / instance)
    paths = [str(tmp_path / name) for name in names]
    verified = analyze("verify", "--man=no", "--recursive-errors=no", *paths)
    complaints = [line for line in verified.stderr.splitlines() if str(tmp_path) in line or "qurbani" in line]
    assert complaints == []
    offline = ["security", "--offline=true", f"--threshold={int(EXPOSED * 10)}"]
    for path in paths[:-1]:
        rated = analyze(*offline, path)
        assert rated.returncode == 0, rated.stdout.splitlines()[-1:]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, timeout=60, check=False)
