"""A blob that grows on a disk: whatever a crash leaves there, what was made durable comes back."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import shared.sealed_file
from shared.crypto import UnsealKey
from shared.errors import QurbaniError
from shared.files import AppendFile
from shared.sealed import Header, SealedReader
from shared.sealed_file import SealedFile

BOX, HUB = UnsealKey(b"b" * 32), UnsealKey(b"h" * 32)
SEGMENT = 64


def sealed_file(path: Path) -> SealedFile:
    return SealedFile(path, [BOX.public, HUB.public], BOX, segment_size=SEGMENT)


def opened(path: Path, key: UnsealKey = HUB) -> bytes:
    with path.open("rb") as source:
        return SealedReader(source, key).read()


def pattern(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def test_what_was_written_is_sealed_and_nothing_else_is_there(tmp_path: Path) -> None:
    plain = pattern(300)
    file = sealed_file(tmp_path / "data")
    for at in range(0, 300, 37):
        file.write(plain[at:at + 37])
        file.sync()
        on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert not any(plain[place:place + 8] in on_disk for place in range(file.size - 8))
    blob = file.finish()
    file.close()
    assert opened(tmp_path / "data") == plain
    assert (blob.size, blob.blob_size) == (300, (tmp_path / "data").stat().st_size)


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT, 5 * SEGMENT + 9])
def test_it_goes_on_where_it_was_closed(tmp_path: Path, size: int) -> None:
    plain = pattern(size + 100)
    file = sealed_file(tmp_path / "data")
    file.write(plain[:size])
    file.sync()
    file.close()
    for place in range(size, size + 100, 10):
        again = sealed_file(tmp_path / "data")
        assert again.size == place
        again.write(plain[place:place + 10])
        again.sync()
        again.close()
    again = sealed_file(tmp_path / "data")
    blob = again.finish()
    again.close()
    assert opened(tmp_path / "data") == plain
    assert blob.size == size + 100


def test_a_finish_that_was_not_noted_is_done_again(tmp_path: Path) -> None:
    plain = pattern(SEGMENT + 20)
    for _ in range(3):
        file = sealed_file(tmp_path / "data")
        file.write(plain[file.size:])
        file.sync()
        file.finish()
        file.close()
        assert opened(tmp_path / "data") == plain


def test_discard_goes_back_to_the_last_sync(tmp_path: Path) -> None:
    plain = pattern(500)
    file = sealed_file(tmp_path / "data")
    file.write(plain[:100])
    file.sync()
    file.write(b"x" * 200)
    file.discard()
    file = sealed_file(tmp_path / "data")
    assert file.size == 100
    file.write(plain[100:])
    file.finish()
    file.close()
    assert opened(tmp_path / "data") == plain


def test_it_has_one_writer(tmp_path: Path) -> None:
    file = sealed_file(tmp_path / "data")
    with pytest.raises(QurbaniError) as caught:
        sealed_file(tmp_path / "data")
    assert caught.value.code == "locked"
    file.close()
    sealed_file(tmp_path / "data").close()


@pytest.mark.parametrize("rubbish", [b"", b"QSEALED\x01", b"\0" * 4096])
def test_rubbish_is_begun_anew(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "data").write_bytes(rubbish)
    (tmp_path / "data.tail").write_bytes(rubbish)
    file = sealed_file(tmp_path / "data")
    assert file.size == 0
    file.write(b"abc")
    file.finish()
    file.close()
    assert opened(tmp_path / "data") == b"abc"


# Power cuts: every operation on the files is noted; an image of the disk after a cut has what was synced, and of
# the rest anything: kept, lost or torn, write by write.

Note = tuple[str, Path, int, bytes]


@pytest.fixture
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cuts are simulated; real flushes would only take time."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)


class Disk:
    """Notes what happens to the files, with what had been acknowledged by then; ``deaf`` plants a lost sync."""

    def __init__(self) -> None:
        self.notes: list[tuple[Note, bytes]] = []
        self.acked = b""

    @contextmanager
    def traced(self, monkeypatch: pytest.MonkeyPatch, deaf: str = "") -> Iterator[None]:
        disk = self

        class Traced(AppendFile):
            def write(self, data: Any) -> None:
                disk.note("write", self.path, self.size, bytes(data))
                super().write(data)

            def truncate(self, size: int) -> None:
                disk.note("truncate", self.path, size, b"")
                super().truncate(size)

            def sync(self) -> None:
                super().sync()
                if self.path.name != deaf:
                    disk.note("sync", self.path, 0, b"")

        with monkeypatch.context() as patched:
            patched.setattr(shared.sealed_file, "AppendFile", Traced)
            yield

    def note(self, *note: Any) -> None:
        self.notes.append((note, self.acked))  # type: ignore[arg-type]

    def image(self, folder: Path, upto: int, rng: random.Random) -> bytes:
        """Put into ``folder`` what a cut after ``upto`` operations may leave; returns what was acknowledged."""
        content: dict[str, bytearray] = defaultdict(bytearray)
        last_sync = {note[1]: at for at, (note, _) in enumerate(self.notes[:upto]) if note[0] == "sync"}
        for at, ((kind, path, place, data), _) in enumerate(self.notes[:upto]):
            is_durable = at < last_sync.get(path, -1)
            file = content[path.name]
            if kind == "truncate" and (is_durable or rng.random() < 0.5):
                del file[place:]
            if kind == "write":
                fate = "kept" if is_durable else rng.choice(["kept", "lost", "torn", "zeros"])
                if fate == "lost":
                    continue
                file.extend(bytes(max(0, place - len(file))))
                kept = data[:rng.randrange(len(data) + 1)] if fate == "torn" else data
                file[place:place + len(kept)] = bytes(len(kept)) if fate == "zeros" else kept
        for name in ("data", "data.tail"):
            (folder / name).write_bytes(content[name])
        return self.notes[upto - 1][1]


def run(disk: Disk, path: Path, rng: random.Random) -> None:
    """One recording with syncs, kills and finishes at random places; other bytes come after each kill."""
    file = sealed_file(path)
    written = b""
    for _ in range(14):
        piece = rng.randbytes(rng.choice([1, 10, SEGMENT, 3 * SEGMENT]))
        file.write(piece)
        written += piece
        if rng.random() < 0.5:
            file.sync()
            disk.acked = written
        if rng.random() < 0.2:
            file.close()  # kill -9: the files keep what was written to them, not what was in memory
            file = sealed_file(path)
            assert file.size >= len(disk.acked)
            written = written[:file.size]
            disk.acked = written
    file.finish()
    file.close()


def lost_acknowledged_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: range, deaf: str = ""
) -> int:
    """Of all images, how many do not begin with what had been acknowledged."""
    bad = 0
    for seed in seeds:
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        disk = Disk()
        with disk.traced(monkeypatch, deaf):
            run(disk, folder / "data", rng)
        for upto in range(1, len(disk.notes) + 1):
            acked = disk.image(folder, upto, rng)
            file = sealed_file(folder / "data")
            size = file.size
            file.finish()
            file.close()
            bad += size < len(acked) or not opened(folder / "data").startswith(acked)
    return bad


@pytest.mark.usefixtures("no_flush")
def test_no_power_cut_takes_what_was_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lost_acknowledged_bytes(tmp_path, monkeypatch, range(6)) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("no_flush")
def test_no_power_cut_takes_what_was_acknowledged_in_many_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lost_acknowledged_bytes(tmp_path, monkeypatch, range(100, 700)) == 0


@pytest.mark.usefixtures("no_flush")
@pytest.mark.parametrize("name", ["data", "data.tail"])
def test_the_power_cuts_find_a_sync_that_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert lost_acknowledged_bytes(tmp_path, monkeypatch, range(6), name) > 0


@pytest.mark.usefixtures("no_flush")
def test_no_nonce_is_used_twice_under_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nonces: list[bytes] = []
    for seed in range(10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        disk = Disk()
        with disk.traced(monkeypatch):
            run(disk, folder / "data", random.Random(seed))
        with (folder / "data").open("rb") as blob:
            header = Header.read(blob)
        places = set()
        for (kind, path, place, data), _ in disk.notes:
            is_segment = path.name == "data" and place >= header.size
            is_tail = path.name == "data.tail" and len(data) != 16
            if kind == "write" and (is_segment or is_tail):
                nonces.append(data[:12])
                places.add((path.name, place))
        assert len(places) < len(nonces)
    assert len(nonces) > 200
    assert len(set(nonces)) == len(nonces)
