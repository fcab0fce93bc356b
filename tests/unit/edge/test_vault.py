"""The private keys on the disk: what a lock lets a thief of it read, and that no moment of a change loses them."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from typer.testing import CliRunner

import commands.edge
from edge import disk, doctor, supervisor, unlock, vault
from edge.db import Database
from edge.node import KEY_FILES, Keys, Node
from edge.settings import Settings
from edge.tls import Authority
from edge.vault import LOCK, Vault, lay_open, lock, read_lock
from shared import crypto
from shared.errors import QurbaniError

NOW = datetime(2027, 5, 16, 6, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id as it is, with a thousandth of the memory: here locks are opened hundreds of times."""
    costly = crypto.hash_secret_raw
    monkeypatch.setattr(crypto, "hash_secret_raw", lambda *a: costly(*a[:2], 1, 64, *a[4:]))


@pytest.fixture
def keys(tmp_path: Path) -> Vault:
    """A box's keys, all lying open."""
    folder = tmp_path / "keys"
    folder.mkdir()
    Authority.of(Vault(folder), NOW)
    return Keys.make(Vault(folder)).vault


def secrets(keys: Vault) -> list[bytes]:
    """What nobody may read: each private key as PEM writes it, and as it is."""
    found = []
    for name in keys.names():
        pem = keys.read(name)
        key = load_pem_private_key(pem, None)
        is_curve = isinstance(key, EllipticCurvePrivateKey)
        found.append(pem.splitlines()[1])
        found.append(key.private_numbers().private_value.to_bytes(32) if is_curve else key.private_bytes_raw())
    return found


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def opened(folder: Path, *secrets: str) -> Vault:
    """As the first of the ``secrets`` opens it that does."""
    found = read_lock(folder)
    if found is None:
        return Vault(folder)
    for secret in secrets:
        with suppress(QurbaniError):
            return found.vault(folder, secret)
    raise AssertionError("nothing opens it")


def test_a_locked_folder_tells_nothing(keys: Vault) -> None:
    plain = {name: keys.read(name) for name in keys.names()}
    told = secrets(keys)
    assert all(each in on_disk(keys.folder) for each in told[::2])
    locked = lock(keys, "passphrase", "correct horse")
    assert not any(each in on_disk(keys.folder) for each in told)
    assert {name: locked.read(name) for name in locked.names()} == plain
    assert Keys.load(locked).seal.public == Keys.load(opened(keys.folder, "correct horse")).seal.public
    with pytest.raises(QurbaniError, match="key_locked"):
        Keys.load(Vault(keys.folder))
    with pytest.raises(QurbaniError, match="key_locked"):
        unlocked(keys.folder, "wrong")
    assert {path.stat().st_mode & 0o777 for path in keys.folder.iterdir()} == {0o600}


def unlocked(folder: Path, secret: str) -> Vault:
    found = read_lock(folder)
    assert found is not None
    return found.vault(folder, secret)


def test_a_key_that_is_made_in_a_locked_folder_never_lay_open(tmp_path: Path) -> None:
    locked = lock(Vault(tmp_path), "passphrase", "first")
    ring = Keys.make(locked).ring
    ring.make("sign-2.pem")
    assert Vault(tmp_path).lying_open() == []
    assert locked.names() == [*sorted([*KEY_FILES, "sign-2.pem"])]


def test_a_locked_folder_that_is_not_opened_is_not_locked_again(keys: Vault) -> None:
    """Its password would be gone, and the keys with it."""
    lock(keys, "passphrase", "first")
    with pytest.raises(QurbaniError, match="key_locked"):
        lock(Vault(keys.folder), "passphrase", "second")
    assert opened(keys.folder, "first").read("sign.pem")


@pytest.mark.parametrize(("before", "after"), [
    (None, "new"), ("old", "new"), ("old", None),
])  # fmt: skip
def test_no_moment_of_a_change_loses_a_key(
    keys: Vault, before: str | None, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut before each write to the folder in turn; then what was right before or after opens all of it."""
    plain = {name: keys.read(name) for name in keys.names()}
    if before:
        keys = lock(keys, "passphrase", before)
    change: Callable[[], object] = lambda: lock(keys, "passphrase", after) if after else lay_open(keys)  # noqa: E731
    steps = dying(monkeypatch)
    for number in range(20):
        steps.left = number
        try:
            change()
        except Dead:
            now = opened(keys.folder, *filter(None, (before, after)))
            assert {name: now.read(name) for name in now.names()} == plain, f"cut before write {number}"
            keys = now
            continue
        break
    assert number, "nothing was cut"
    assert bool(Vault(keys.folder).lying_open()) is (after is None)
    now = opened(keys.folder, after or "")
    assert {name: now.read(name) for name in now.names()} == plain


class Dead(BaseException):
    """As at a power cut: nobody catches it, and nothing is tidied."""


class dying:
    """Let the process die before the write number ``left`` of those that change a folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        for module, name in ((os, "replace"), (Path, "unlink")):
            monkeypatch.setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, change: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **options: object) -> object:
            if "part" not in str(arguments[0]) or change is not Path.unlink:
                self.left -= 1
            if self.left < 0:
                raise Dead
            return change(*arguments, **options)

        return counted


def test_what_was_cut_is_finished_at_the_next_start(keys: Vault) -> None:
    sign = keys.read("sign.pem")
    locked = lock(keys, "passphrase", "words")
    (keys.folder / "sign.pem").write_bytes(sign)
    assert locked.lying_open() == ["sign.pem"]
    opened(keys.folder, "words").settle()
    assert locked.lying_open() == []


def test_a_key_file(keys: Vault, tmp_path: Path) -> None:
    path, short = tmp_path / "box.key", tmp_path / "short.key"
    vault.make_key_file(path)
    short.write_text("hunter2")
    lock(keys, "key file", vault.key_file_secret(path))
    settings = Settings(data=str(tmp_path), edge_key_file=str(path))
    assert unlock.vault(settings, {}).read("sign.pem") == keys_of(settings, path).read("sign.pem")
    for wrong in (short, tmp_path / "nothing"):
        with pytest.raises(QurbaniError, match="key_locked"):
            unlock.vault(Settings(data=str(tmp_path), edge_key_file=str(wrong)), {})


def keys_of(settings: Settings, path: Path) -> Vault:
    return opened(settings.keys, vault.key_file_secret(path))


def test_the_lock_is_changed_by_hand(keys: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing to a passphrase, to a key file, and back; whoever does not know it changes nothing."""
    sign, path = keys.read("sign.pem"), tmp_path / "stick.key"

    def said(*arguments: str, line: str = "", **environ: str) -> str:
        known = {"QURBANI_DATA": str(tmp_path)} | {f"QURBANI_EDGE_KEY_{name}": value for name, value in environ.items()}
        done = CliRunner().invoke(commands.edge.app, ["lock", *arguments], input=line, env=known)
        return done.output if done.exit_code == 0 else str(getattr(done.exception, "code", done.exception))

    assert said("key-file") == said("passphrase", line="\n") == "bad_input"
    assert said("passphrase", line="words\n") == "the keys of this box: passphrase\n"
    assert said("none") == said("none", PASSPHRASE="wrong") == "key_locked"
    assert said("key-file", "--key-file", str(path), PASSPHRASE="words") == "the keys of this box: key file\n"
    assert (path.stat().st_mode & 0o777, path.stat().st_size) == (0o400, vault.KEY_FILE_BYTES)
    assert said("passphrase", NEW_PASSPHRASE="other", PASSPHRASE="words") == "key_locked"
    assert said("passphrase", NEW_PASSPHRASE="other", FILE=str(path)) == "the keys of this box: passphrase\n"
    assert said("none", PASSPHRASE="other") == "the keys of this box: open files\n"
    assert keys.read("sign.pem") == sign
    monkeypatch.setattr(supervisor, "LOCK_S", 0)
    with open(supervisor.lock(tmp_path / "run" / "lock"), "rb"):
        assert said("passphrase", line="words\n") == "already_running"


def test_whose_seal_a_key_file_has(tmp_path: Path) -> None:
    """By what systemd writes at the head of a credential; the first is the example of its documentation."""
    found = lock(Vault(tmp_path), "key file", "anything")
    path = tmp_path / "edge-key"
    assert found.password is not None
    told = read_lock(tmp_path)
    assert unlock.described(None, path) == "open files"
    assert unlock.described(told, None) == unlock.described(told, path) == "key file"
    sealed = path.with_name("edge-key.sealed")
    sealed.write_bytes(b"k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAADAAAABAAAAC1lFmbWAqWZ8dCCQkAAAAAgAAAAAAAAAA\n=")
    assert unlock.described(told, path) == "key file sealed by TPM (systemd)"
    sealed.write_bytes(base64.b64encode(bytes.fromhex("5a1c6a86df9d4096b1d5a65e0862f19a") + bytes(32)))
    assert unlock.described(told, path) == "key file sealed by a key on this disk (systemd)"


def test_a_passphrase_is_taken_out_of_the_environment(keys: Vault, tmp_path: Path) -> None:
    """What the processes of the box inherit, and what its replica keeps of its settings, does not hold it."""
    lock(keys, "passphrase", "words")
    environ = {unlock.PASSPHRASE: "words", "HOME": "/"}
    unlock.vault(Settings(data=str(tmp_path)), environ)
    assert environ == {"HOME": "/"}


def test_the_doctor_says_what_a_lock_does_not_keep(
    keys: Vault, db: Database, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=str(tmp_path), edge_key_file=str(tmp_path / "box.key"))
    settings.make_folders()

    def said(vault: Vault | None = None) -> dict[str, doctor.Finding]:
        return {each.what: each for each in doctor.examine(settings, vault)}

    assert "open files" in said()["keys"].detail
    assert said()["keys"].is_well
    locked = lock(keys, "passphrase", "words")
    found = said(locked)
    assert (found["keys"].is_well, found["keys"].detail) == (True, "passphrase: open with it")
    assert "videos" in found
    assert "not looked into" in said()["keys"].detail
    assert "videos" not in said(), "they cannot be opened"
    monkeypatch.setattr(doctor, "is_encrypted", lambda _: False)
    assert not said()["disk"].is_well, "names lie open beside locked keys"
    monkeypatch.setattr(doctor, "is_encrypted", lambda _: True)
    assert said()["disk"].is_well
    vault.make_key_file(tmp_path / "box.key")
    assert "on the disk of the box itself" in said(locked)["keys"].detail
    (tmp_path / "box.key").unlink()
    (keys.folder / "seal.pem").write_bytes(locked.read("seal.pem"))
    assert "open still: seal.pem" in said(locked)["keys"].detail
    (keys.folder / LOCK).write_bytes(b"not this")
    assert not said()["keys"].is_well


def test_a_disk_is_encrypted_when_all_below_it_is(tmp_path: Path) -> None:
    """A tree as sysfs has it: a volume of LVM over LUKS, a mirror of one disk with and one without, a partition."""

    def device(name: str, uuid: str = "", *below: Path) -> Path:
        path = tmp_path / name
        (path / "slaves").mkdir(parents=True)
        if uuid:
            (path / "dm").mkdir()
            (path / "dm" / "uuid").write_text(f"{uuid}\n")
        for each in below:
            (path / "slaves" / each.name).symlink_to(each)
        return path

    plain, luks = device("sda"), device("dm-0", "CRYPT-LUKS2-0123-root")
    partition = plain / "sda1"
    partition.mkdir()
    (partition / "partition").write_text("1\n")
    device("md0", "", luks, plain)
    device("dm-1", "LVM-abc", luks)
    verdicts = {"dm-0": True, "dm-1": True, "md0": False, "sda": False, "sda/sda1": False}
    for name, expected in verdicts.items():
        assert disk._is_crypt((tmp_path / name).resolve()) is expected, name
    assert disk.is_encrypted(tmp_path, tmp_path / "no sysfs") is None
