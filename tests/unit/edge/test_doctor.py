from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from edge import doctor, jobs, supervisor
from edge.blobs import Blobs
from edge.capture import Capture, Video
from edge.db import Database
from edge.doctor import Finding
from edge.node import Keys, Node
from edge.settings import Settings
from shared.clock import ManualClock
from shared.ids import new_id
from shared.sealed_file import SealedFile


@pytest.fixture
def settings(tmp_path: Path, keys: Keys) -> Settings:
    """The folder in which the fixtures' database and keys lie."""
    found = Settings(data=str(tmp_path))
    found.make_folders()
    return found


@pytest.fixture
def blob(settings: Settings, capture: Capture, keys: Keys, sacrifice: UUID) -> Path:
    """The sealed file of a recorded video."""
    sealing = SealedFile(settings.uploads / "data", [keys.seal.public], keys.seal)
    sealing.write(b"a video")
    sealed = sealing.finish()
    sealing.close()
    blobs = Blobs(settings.blobs, keys.seal)
    blobs.keep(settings.uploads / "data", sealed.blob_id)
    capture.keep_video(
        Video(new_id(), sacrifice, sealed.sha256, sealed.size, sealed.blob_id, sealed.blob_size, "video/mp4"), new_id()
    )
    return blobs.path(sealed.blob_id)


def found(settings: Settings, what: str) -> Finding | None:
    return {finding.what: finding for finding in doctor.examine(settings)}.get(what)


def must_find(settings: Settings, what: str) -> Finding:
    finding = found(settings, what)
    assert finding is not None
    return finding


def test_a_healthy_box(settings: Settings, blob: Path) -> None:
    findings = list(doctor.examine(settings))
    assert [finding.what for finding in findings] == [
        "SQLite", "keys", "disk", "certificate", "database", "enrolment", "ops", "videos", "recordings", "leases",
        "half files",
    ]  # fmt: skip
    assert all(finding.is_well and not finding.is_mended for finding in findings)


def test_an_empty_folder(tmp_path: Path) -> None:
    nothing = Settings(data=str(tmp_path / "nothing"))
    assert [finding.is_well for finding in doctor.examine(nothing)] == [True, False]
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_a_damaged_video(settings: Settings, blob: Path, damage: str) -> None:
    content = blob.read_bytes()
    blob.unlink()
    if damage != "gone":
        blob.write_bytes(content[:-1] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    finding = must_find(settings, "videos")
    assert not finding.is_well
    assert blob.name in finding.detail


def test_a_broken_chain(settings: Settings, db: Database, blob: Path) -> None:
    db.write(lambda tx: tx.execute("UPDATE op SET hash = zeroblob(32) WHERE seq = 2"))
    assert must_find(settings, "ops").detail == "op 3 does not follow the one before it"


def test_a_missing_op(settings: Settings, db: Database, blob: Path) -> None:
    db.write(lambda tx: tx.execute("DELETE FROM op WHERE seq = 2"))
    assert not must_find(settings, "ops").is_well


def test_keys(settings: Settings, node: Node) -> None:
    sign = settings.keys / "sign.pem"
    sign.chmod(0o644)
    assert must_find(settings, "keys").is_mended
    assert sign.stat().st_mode & 0o777 == 0o600
    assert not must_find(settings, "keys").is_mended
    sign.write_text("no key")
    assert not must_find(settings, "keys").is_well
    sign.unlink()
    assert must_find(settings, "keys").detail == "missing: sign.pem"
    assert not sign.exists()


def test_what_a_dead_box_left_behind_is_mended(
    settings: Settings, db: Database, clock: ManualClock, blob: Path
) -> None:
    lease = db.write(lambda tx: jobs.take(tx, clock.read(), new_id()))
    assert lease is not None
    half = settings.keys / ".sign.pem.123.part"
    half.write_bytes(b"half")
    assert must_find(settings, "leases").is_mended
    assert db.write(lambda tx: jobs.take(tx, clock.read(), new_id())) is not None
    assert not half.exists()


def test_a_running_box_is_left_alone(settings: Settings, blob: Path) -> None:
    half = settings.keys / ".sign.pem.123.part"
    half.write_bytes(b"being written")
    with open(supervisor.lock(settings.run / "lock"), "rb"):
        assert found(settings, "leases") is None
        assert found(settings, "half files") is None
    assert half.exists()
