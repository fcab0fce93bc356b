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
        # A hub of other tests lives in this process, and what it logs meanwhile is no answer of the command.
        lines = capsys.readouterr().out.splitlines(keepends=True)
        return end.value.code, "".join(line for line in lines if '"event": ' not in line)

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
        assert json.loads(cloud("rotate-keys", "--json")[1]) == {"keys": 1}
        assert cloud("migrate") == (0, "")
        assert cloud("reconcile") == (0, "0 breaks\n")
        hub.stop()
    lines = log.read_text().splitlines()
    assert not [line for line in lines if json.loads(line)["level"] == "error"]
    assert account["password"] not in str(lines)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_a_tampered_copy_of_the_audit_is_found_out_without_the_hub(
    cloud: Cloud, environ: dict[str, str], tmp_path: Path
) -> None:
    cloud("migrate")
    with Process("cloud", "serve", environ=environ, log=tmp_path / "hub.log") as hub:
        url = f"http://127.0.0.1:{environ['QURBANI_PORT']}"
        wait_for("the hub", lambda: httpx.get(f"{url}/health/live").is_success)
        for _ in range(3):
            httpx.post(f"{url}/api/v1/auth/sign-in", json={"email": "nobody@example.org", "password": "x" * 15})
        wait_for("the links", lambda: len(_exported(cloud, tmp_path)) == 5)  # the key, a checkpoint, three entries
        hub.stop()
    kept = tmp_path / "checkpoint.json"
    kept.write_text(cloud("audit", "checkpoint")[1])
    assert cloud("audit", "verify") == (0, "whole\n")
    lines = _exported(cloud, tmp_path)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(b"".join([*lines[:3], lines[3].replace(b"bad_credentials", b"bad_assertions_"), *lines[4:]]))
    assert cloud("audit", "verify", str(copy)) == (1, "entry 2: edited\n")
    copy.write_bytes(lines[0])  # no entry left, nor any checkpoint in the file itself
    assert cloud("audit", "verify", str(copy)) == (0, "whole\n")
    code, printed = cloud("audit", "verify", str(copy), "--checkpoint", str(kept), "--json")
    assert (code, json.loads(printed)) == (1, {"whole": False, "breaks": [{"seq": 1, "kind": "cut"}]})
    assert "does not begin with the hub's key" in str(cloud("audit", "verify", str(kept))[0])


def _exported(cloud: Cloud, folder: Path) -> list[bytes]:
    file = folder / "audit.jsonl"
    assert cloud("audit", "export", str(file))[0] == 0
    return file.read_bytes().splitlines(keepends=True)


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
