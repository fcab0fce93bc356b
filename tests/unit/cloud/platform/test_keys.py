"""The hub's one secret and the keys that come of it."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloud.platform.keys import Keys
from cloud.platform.settings import Settings
from shared.errors import QurbaniError


def settings(folder: Path, secret: str = "") -> Settings:
    return Settings(database_url="", redis_url="", kafka="", data=str(folder), secret=secret)


def test_a_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = Keys.load(settings(folder))
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert Keys.load(settings(folder)).derive("x") == first.derive("x")


def test_programs_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as programs:
        loaded = list(programs.map(lambda _: Keys.load(settings(tmp_path)).derive("x"), range(32)))
    assert len(set(loaded)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_purposes_have_keys_of_their_own_and_hubs_too() -> None:
    one, other = Keys(bytes(32)), Keys(bytes(31) + b"\1")
    derived = [one.derive("a"), one.derive("b"), other.derive("a"), other.derive("b")]
    assert len(set(derived)) == 4
    assert one.sign.public != other.sign.public
    assert one.unseal.unwrap(one.unseal.public.wrap(bytes(32))) == bytes(32)


def test_the_environment_comes_before_the_folder(tmp_path: Path) -> None:
    assert Keys.load(settings(tmp_path, "ab" * 32)).derive("x") == Keys(b"\xab" * 32).derive("x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("secret", ["short", "zz" * 32, "ab" * 31])
def test_a_secret_that_is_none_is_named(tmp_path: Path, secret: str) -> None:
    with pytest.raises(QurbaniError, match="QURBANI_SECRET") as refused:
        Keys.load(settings(tmp_path, secret))
    assert refused.value.code == "misconfigured"
