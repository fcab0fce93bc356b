"""A scratch file is a file to its holder and noise to everybody else."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest

from shared import scratch
from shared.scratch import SECTOR, Scratch


@pytest.mark.parametrize("seed", range(5))
def test_reads_and_writes_like_any_other_file(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    known = io.BytesIO()
    with Scratch(tmp_path) as tried:
        for _ in range(200):
            where = chance.randrange(5 * SECTOR)
            length = chance.choice((0, 1, 7, SECTOR - 1, SECTOR, SECTOR + 1, 3 * SECTOR))
            assert tried.seek(where) == known.seek(where)
            if chance.random() < 0.5:
                data = chance.randbytes(length)
                assert tried.write(data) == known.write(data)
            else:
                assert _read(tried, length) == known.read(length)
            assert tried.tell() == known.tell()
        assert tried.seek(0, io.SEEK_END) == known.seek(0, io.SEEK_END)
        tried.seek(0)
        assert tried.read() == known.getvalue()


def test_what_lies_on_disk_is_not_what_was_written(tmp_path: Path) -> None:
    with Scratch(tmp_path) as secret:
        secret.write(b"a canary sings " * 20_000)
        on_disk = os.pread(secret._file.fileno(), 1 << 20, 0)
        assert len(on_disk) > SECTOR
        assert b"canary" not in on_disk


def test_leaves_no_name_behind(tmp_path: Path) -> None:
    with Scratch(tmp_path) as file:
        file.write(b"x" * 3 * SECTOR)
        assert list(tmp_path.iterdir()) == []


def test_equal_sectors_do_not_look_equal(tmp_path: Path) -> None:
    with Scratch(tmp_path) as file:
        file.write(bytes(b"s" * SECTOR * 3))
        first, second = (os.pread(file._file.fileno(), SECTOR, at * SECTOR) for at in (0, 1))
        assert first != second


def _read(file: scratch.Scratch, length: int) -> bytes:
    """A raw file may hand out less than was asked for; a reader asks again."""
    parts = []
    while length and (part := file.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
