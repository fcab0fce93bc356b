"""``qurbani evidence verify`` and ``sign`` on files, as an auditor far from the hub would run them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.evidence import app
from shared.crypto import SigningKey, save_key
from shared.evidence.manifest import FIRST, Capture, Manifest, Moment, sign
from shared.ids import new_id

NODE = new_id()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three captures of one box with their manifests, its key, and the hub's list of keys."""
    key, previous = SigningKey.generate(), FIRST
    save_key(tmp_path / "key.pem", key)
    for number in (1, 2, 3):
        content = f"video {number}".encode() * 99
        sha256 = hashlib.sha256(content).hexdigest()
        origin = Capture(number, previous, Moment(1_780_000_000_000, 5, "b", 30_000))
        made = Manifest(NODE, new_id(), sha256, len(content), "video/mp4", origin, {"software": "1"}, 1_780_000_000_000)
        (tmp_path / f"{number}.mp4").write_bytes(content)
        (tmp_path / f"{number}.mp4.manifest.json").write_bytes(sign(key, made))
        previous = sha256
    (tmp_path / "keys").write_text(json.dumps({str(NODE): {"keys": [key.public.raw.hex()], "last": 3}}))
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def test_one_file(folder: Path) -> None:
    manifest, video, keys = folder / "2.mp4.manifest.json", folder / "2.mp4", folder / "keys"
    status, printed = run("verify", manifest, video, "--keys", keys)
    assert status == 0
    assert f"number 2 of {NODE}, 2026-05-28 20:26:40 UTC +- 30 s" in printed
    assert printed.endswith("OK\n")
    status, printed = run("verify", manifest, video)
    assert status == 3
    assert "nobody said whose key it is" in printed
    video.write_bytes(video.read_bytes()[:-1] + b"!")
    assert run("verify", manifest, video, "--keys", keys)[0] == 1
    assert "BROKEN wrong_hash: 2.mp4.manifest.json" in run("verify", manifest, video, "--keys", keys)[1]
    manifest.write_bytes(manifest.read_bytes().replace(b'"number": 2', b'"number": 3'))
    assert "BROKEN bad_signature" in run("verify", manifest, "--keys", keys)[1]


def test_a_folder(folder: Path) -> None:
    assert run("verify", folder, "--keys", folder / "keys")[0] == 0
    (folder / "3.mp4.manifest.json").unlink()
    assert f"BROKEN missing: {NODE} 3" in run("verify", folder, "--keys", folder / "keys")[1]
    (folder / "2.mp4.manifest.json").unlink()
    (folder / "1.mp4").write_bytes(b"another")
    found = json.loads(run("verify", folder, "--keys", folder / "keys", "--json")[1])
    assert (found["ok"], found["vouched"]) == (False, True)
    assert [each["code"] for each in found["broken"]] == ["wrong_size", "missing", "missing"]


def test_a_file_that_was_made_of_another(folder: Path) -> None:
    made = folder / "1_blurred.mp4"
    made.write_bytes(b"blurred")
    status, printed = run("sign", made, folder / "1.mp4.manifest.json", "--tool", "redact", "--setting", "faces=all",
                          "--key", folder / "key.pem", "--node", NODE)  # fmt: skip
    assert status == 0
    (folder / "1_blurred.mp4.manifest.json").write_text(printed)
    assert json.loads(printed)["manifest"]["origin"]["settings"] == {"faces": "all"}
    status, printed = run("verify", folder, "--keys", folder / "keys")
    assert (status, "redact of" in printed) == (0, True)
    (folder / "1.mp4.manifest.json").unlink()
    assert "BROKEN wrong_parent" in run("verify", folder, "--keys", folder / "keys")[1]
