"""The file of master keys: made once, changed by a rotation that may be cut, and read again when it changes."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from cloud.platform.masters import Masters
from shared.errors import QurbaniError

WHO, ANOTHER = UUID(int=1), UUID(int=2)
KEY = bytes(range(32))


def test_programs_that_start_at_once_agree_and_only_the_owner_can_read(tmp_path: Path) -> None:
    file = tmp_path / "master.keys"
    with ThreadPoolExecutor(8) as programs:
        assert len(set(programs.map(lambda _: tuple(Masters(file).ids()), range(32)))) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_opens_for_whom_it_was_wrapped_and_nobody_else(tmp_path: Path) -> None:
    masters = Masters(tmp_path / "master.keys")
    master, wrapped = masters.wrap(WHO, KEY)
    assert masters.unwrap(WHO, master, wrapped) == KEY
    for who, what in ((ANOTHER, wrapped), (WHO, wrapped[:-1] + bytes([wrapped[-1] ^ 1])), (WHO, b"")):
        with pytest.raises(QurbaniError, match="not what was wrapped"):
            masters.unwrap(who, master, what)


def test_a_rotation_is_begun_once_and_what_it_leaves_opens_nothing_old(tmp_path: Path) -> None:
    file = tmp_path / "master.keys"
    running, rotating = Masters(file), Masters(file)
    first, old = running.wrap(WHO, KEY)
    newest = rotating.begin()
    assert Masters(file).begin() == newest != first  # one that was cut is gone on with
    second, new = running.wrap(WHO, KEY)  # a program that ran before notices
    assert second == newest
    assert running.unwrap(WHO, first, old) == rotating.unwrap(WHO, second, new) == KEY
    rotating.end()
    assert file.read_text().split()[0] == newest
    with pytest.raises(QurbaniError, match="is not in") as refused:
        Masters(file).unwrap(WHO, first, old)
    assert refused.value.code == "misconfigured"


def test_a_file_that_holds_something_else_is_named(tmp_path: Path) -> None:
    file = tmp_path / "master.keys"
    file.write_text("not a key\n")
    with pytest.raises(QurbaniError, match=r"master\.keys") as refused:
        Masters(file).ids()
    assert refused.value.code == "misconfigured"
