"""An update on a stick, as the command line meets it; and each way in which it is none."""

from __future__ import annotations

import tarfile
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import pytest

from edge.update import Now, check, make
from shared.crypto import SigningKey
from shared.domain.eid import Window
from shared.errors import QurbaniError
from tests.box import Box
from tests.hub import Hub, serving

KEY = SigningKey.generate()
JUNE = datetime(2027, 6, 1, tzinfo=UTC)
EID = Window(JUNE + timedelta(days=1), JUNE + timedelta(days=4))
NOW = Now("0.9.9", JUNE, timedelta(seconds=5), EID)
PASSPHRASE = {"QURBANI_EDGE_RELEASE_PASSPHRASE": "in the safe"}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "qurbani-0.10.2.whl", tmp_path / "numpy-2.4.0.whl"]
    for number, path in enumerate(found):
        path.write_bytes(bytes([number]) * 100_000)
    return found


@pytest.fixture
def made(tmp_path: Path, files: list[Path]) -> Path:
    target = tmp_path / "0.10.2.update"
    make(target, KEY, "0.10.2", "0.9.0", JUNE, files)
    return target


def refusal(file: Path, now: Now = NOW, key: SigningKey = KEY, into: Path | None = None) -> str:
    with pytest.raises(QurbaniError) as refused:
        check(file, key.public, now, into)
    return refused.value.code


def test_one_that_fits(tmp_path: Path, made: Path, files: list[Path]) -> None:
    into = tmp_path / "b"
    into.mkdir()
    assert check(made, KEY.public, NOW, into).version == "0.10.2"
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {each.name: each.read_bytes() for each in files}


def test_another_key(made: Path) -> None:
    assert refusal(made, key=SigningKey.generate()) == "bad_signature"


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (Now("0.10.2", JUNE, timedelta(0), None), "old_update"),
        (Now("0.10.10", JUNE, timedelta(0), None), "old_update"),
        (Now("0.8.99", JUNE, timedelta(0), None), "old_update"),
        (Now("0.9.9", JUNE - timedelta(seconds=1), timedelta(0), None), "not_now"),
        (Now("0.9.9", EID.begins, timedelta(0), EID), "not_now"),
        (Now("0.9.9", EID.ends - timedelta(seconds=1), timedelta(0), EID), "not_now"),
        (Now("0.9.9", EID.ends + timedelta(hours=23), timedelta(days=1), EID), "not_now"),
    ],
)
def test_what_does_not_fit_here_and_now(made: Path, now: Now, code: str) -> None:
    assert refusal(made, now) == code


def test_after_the_last_sunset_it_fits(made: Path) -> None:
    assert check(made, KEY.public, Now("0.9.9", EID.ends + timedelta(hours=25), timedelta(days=1), EID)).files


def test_one_altered_bit_anywhere_and_every_cut(tmp_path: Path, made: Path) -> None:
    """But for the padding of the archive, and of its headers what says nothing: owners and times."""
    content, into = made.read_bytes(), tmp_path / "b"
    into.mkdir()
    bad = tmp_path / "bad"
    for place in (5, 600, 700, 2000, 60_000, 150_000, 202_000):
        bad.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert refusal(bad, into=into) in {"damaged", "bad_signature", "bad_version"}, place
        assert not list(into.iterdir())
    for size in (0, 100, 512, 1000, 5000, 101_500, 150_000):
        bad.write_bytes(content[:size])
        assert refusal(bad, into=into) == "damaged", size
        assert not list(into.iterdir())


@pytest.mark.parametrize("change", ["added", "exchanged", "left out", "a link"])
def test_other_files_under_a_good_manifest(tmp_path: Path, made: Path, files: list[Path], change: str) -> None:
    bad, evil = tmp_path / "bad", tmp_path / "evil"
    evil.write_bytes(files[1].read_bytes()[:-1] + b"!")
    with tarfile.open(made) as whole, tarfile.open(bad, "w") as tar:
        for member in whole.getmembers():
            if member.name == files[1].name and change == "exchanged":
                tar.add(evil, member.name)
            elif member.name == files[1].name and change == "a link":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
                tar.addfile(member)
            elif member.name != files[1].name or change != "left out":
                tar.addfile(member, whole.extractfile(member))
        if change == "added":
            tar.add(evil, "sitecustomize.py")
    into = tmp_path / "b"
    into.mkdir()
    assert refusal(bad, into=into) == "damaged"
    assert not list(into.iterdir())


def test_a_name_that_leads_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "-rf").write_bytes(b"")
    with pytest.raises(QurbaniError, match="bad_input"):
        make(tmp_path / "bad", KEY, "0.10.2", "0.9.0", JUNE, [tmp_path / "-rf"])


def test_on_the_command_line(tmp_path: Path, files: list[Path]) -> None:
    major, rest = metadata.version("qurbani").split(".", 1)
    newer = f"{int(major) + 1}.{rest}"
    with serving(Hub()) as hub:
        box = Box(tmp_path / "box", hub, **PASSPHRASE)
        public = box.command("release-key", str(tmp_path / "key")).stdout.strip()
        box.enrol()
    into, target = tmp_path / "b", tmp_path / "update"
    into.mkdir()
    told = ["--key", str(tmp_path / "key"), "--version", newer, "--minimum", "0.0.1", "--not-before", "2026-01-01"]
    box.command("make-update", str(target), *map(str, files), *told)
    box.environ["QURBANI_EDGE_RELEASE_KEY"] = public
    assert newer in box.command("check-update", str(target), "--into", str(into)).stdout
    assert sorted(path.name for path in into.iterdir()) == sorted(path.name for path in files)
    refused = box.command("check-update", str(target), "--into", str(into), check=False)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert "is not empty" in refused.stderr
