"""``qurbani cloud`` as an administrator types it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import qurbani
from demo.answers import wait_for
from demo.process import Process
from demo.servers import Room

Cloud = Callable[..., tuple[object, str]]


@pytest.fixture
def environ(room: Room, tmp_path: Path) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return room.environ() | {"QURBANI_DATA": str(tmp_path / "data"), "QURBANI_PORT": str(port)}


@pytest.fixture
def cloud(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cloud:
    """Types ``qurbani cloud ARGUMENTS``: how it exits (0, or a complaint) and what it prints."""

    def type_in(*arguments: str, **change: str) -> tuple[object, str]:
        for name, value in {**environ, **change}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["qurbani", "cloud", *arguments])
        with pytest.raises(SystemExit) as end:
            qurbani.main()
        return end.value.code, capsys.readouterr().out

    return type_in


def test_a_hub_from_nothing_to_its_end(cloud: Cloud, environ: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    url = f"http://127.0.0.1:{environ['QURBANI_PORT']}"
    with Process("cloud", "run", environ=environ, log=log) as hub:
        wait_for("the hub", lambda: httpx.get(f"{url}/health/ready").is_success)
        code, printed = cloud("create-admin", "--email", "a@example.org", "--json")
        account = json.loads(printed)
        assert code == 0
        assert httpx.post(f"{url}/api/v1/auth/sign-in", json=account).is_success
        code, printed = cloud("create-admin", "--email", "a@example.org")
        assert "[conflict]" in str(code)
        assert printed == ""
        assert json.loads(cloud("redrive", "--json")[1]) == {"events": 0, "jobs": 0, "ops": 0}
        assert cloud("migrate") == (0, "")
        hub.stop()
    lines = log.read_text().splitlines()
    assert not [line for line in lines if json.loads(line)["level"] == "error"]
    assert account["password"] not in str(lines)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.parametrize(("arguments", "change", "complaint"), [
    (("serve",), {"QURBANI_KAFKA": ""}, "QURBANI_KAFKA must be set"),
    (("serve",), {"QURBANI_PORT": "eighty"}, "QURBANI_"),
    (("serve", "--services", "auth,nonsense"), {}, "there is no service nonsense"),
    (("migrate",), {"QURBANI_DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"}, "the database cannot be reached"),
])
def test_what_is_wrong_is_one_line(
    cloud: Cloud, arguments: tuple[str, ...], change: dict[str, str], complaint: str
) -> None:
    code, _ = cloud(*arguments, **change)
    assert complaint in str(code)
    assert "\n" not in str(code)
