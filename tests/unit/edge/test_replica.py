"""A replica in another folder: what each pass adds to it, what comes back out of it, and what does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from edge import doctor, replicator
from edge import node as identity
from edge.blobs import Blobs
from edge.capture import Capture, Video
from edge.db import Database
from edge.main import opened
from edge.node import Keys, Node
from edge.outbox import Outbox
from edge.replica import Folder, Growing, Manifest, Opened
from edge.replicator import Replicator, read_state
from edge.restore import Restored, restore
from edge.settings import Settings
from edge.tls import Authority
from edge.vault import Vault, lock
from shared.clock import ManualClock, SystemClock
from shared.crypto import SealKey, SigningKey, UnsealKey
from shared.errors import QurbaniError
from shared.ids import new_id
from shared.sealed import SEGMENT_SIZE
from shared.sealed_file import SealedFile
from shared.tus.folder import SealingStore
from shared.tus.store import Upload
from sync.calls import drive
from sync.session import Identity, Session
from tests.unit.sync.chains import HUB_KEY, NODE, SITE
from tests.unit.sync.world import Hub

OPERATOR = UnsealKey.generate()
LATER = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture
def node(db: Database) -> Node:
    """The box that the hub of the protocol's tests knows."""
    enrolled = Node(NODE, SITE, "box 1", "http://hub.example", HUB_KEY.public.raw, OPERATOR.public.raw)
    identity.save(db, enrolled)
    return enrolled


@pytest.fixture
def settings(tmp_path: Path, keys: Keys, capture: Capture) -> Settings:
    """Those of the box in which the fixtures' database and keys lie."""
    found = Settings(data=str(tmp_path), edge_replica_key=OPERATOR.public.raw.hex(), edge_ballast_bytes=0)
    found.make_folders()
    return found


@pytest.fixture
def spare(tmp_path: Path) -> Path:
    """The folder of the replica, on another disk."""
    folder = tmp_path / "spare"
    folder.mkdir()
    replicator.begin(folder)
    return folder


@pytest.fixture
def keeper(settings: Settings, db: Database, keys: Keys, clock: ManualClock, spare: Path) -> Replicator:
    environ = {"QURBANI_EDGE_NAMES": "yard.lan", "HOME": "/root"}
    return Replicator(settings, db, keys, clock, spare, environ)


@pytest.fixture
def folder(spare: Path, keys: Keys) -> Folder:
    return Folder.of(spare, keys.seal.public.id)


@pytest.fixture
def record(settings: Settings, capture: Capture, keys: Keys, sacrifice: UUID) -> Callable[[bytes], str]:
    """Record a video; gives the name of its sealed file."""
    return partial(film, settings, keys, capture, sacrifice)


def film(settings: Settings, keys: Keys, capture: Capture, sacrifice: UUID, content: bytes) -> str:
    data = settings.uploads / "data"
    sealing = SealedFile(data, [keys.seal.public], keys.seal)
    sealing.write(content)
    blob = sealing.finish()
    sealing.close()
    Blobs(settings.blobs, keys.seal).keep(data, blob.blob_id)
    data.unlink()
    video = Video(new_id(), sacrifice, blob.sha256, blob.size, blob.blob_id, blob.blob_size, "video/mp4")
    capture.keep_video(video, new_id())
    return blob.blob_id


def brought_back(
    tmp_path: Path, spare: Path, key: UnsealKey = OPERATOR, name: str = "new"
) -> tuple[Settings, Restored]:
    settings = Settings(data=str(tmp_path / name))
    return settings, restore(settings, spare, key, "", lambda: None, lambda size: None)


def ops(settings: Settings) -> list[tuple[int, bytes]]:
    with opened(settings) as box:
        return [(row["seq"], row["hash"]) for row in box.db.rows("SELECT seq, hash FROM op ORDER BY seq")]


def pieces(folder: Folder) -> list[int]:
    return [path.stat().st_size for path in sorted(folder.path.glob("piece-*"))]


def test_all_of_the_box_comes_back(
    tmp_path: Path, settings: Settings, keeper: Replicator, spare: Path, record: Callable[[bytes], str], node: Node
) -> None:
    (settings.folder / "models").mkdir()
    (settings.folder / "models" / "eyes.tflite").write_bytes(b"weights")
    authority = Authority.of(Vault(settings.keys), LATER).fingerprint
    blob = record(b"a film")
    assert keeper.once().left == 0
    new, said = brought_back(tmp_path, spare)
    assert (said.node, said.name, said.videos, said.lost, said.refused) == (node.id, "box 1", 1, [], [])
    assert ops(new) == ops(settings)
    with opened(new) as box, box.blobs.opened(blob) as film:
        assert film.read() == b"a film"
    assert Authority.of(Vault(new.keys), LATER).fingerprint == authority, "tablets would have to trust it anew"
    assert (new.keys / "sign.pem").stat().st_mode & 0o777 == 0o600
    assert (new.folder / "models" / "eyes.tflite").read_bytes() == b"weights"
    assert (new.folder / "restored.env").read_text() == "QURBANI_EDGE_NAMES=yard.lan\n"
    assert all(finding.is_well for finding in doctor.examine(new))


def test_a_locked_box_comes_back_locked_otherwise(
    tmp_path: Path, settings: Settings, keeper: Replicator, db: Database, clock: ManualClock, spare: Path, node: Node
) -> None:
    """Whoever holds the office's key brings it back: the passphrase of the dead box is not asked for."""
    locked = lock(Vault(settings.keys), "passphrase", "of the old box")
    Replicator(settings, db, Keys.load(locked), clock, spare, {}).once()
    new = Settings(data=str(tmp_path / "new"))
    new.make_folders()
    vault = lock(Vault(new.keys), "passphrase", "of the new box")
    said = restore(new, spare, OPERATOR, "", lambda: None, lambda size: None, vault)
    assert said.node == node.id
    assert Vault(new.keys).lying_open() == []
    assert Keys.load(vault).sign.public == Keys.load(locked).sign.public


def test_a_pass_writes_what_changed(
    tmp_path: Path, keeper: Replicator, folder: Folder, spare: Path, settings: Settings, record: Callable[[bytes], str]
) -> None:
    first = keeper.once()
    assert keeper.once().number == first.number, "nothing had happened"
    record(b"a film")
    assert keeper.once().number == first.number + 1
    whole, change = pieces(folder)
    assert change < whole / 2
    for number in range(20):
        record(b"film %d" % number)
        keeper.once()
    assert len(pieces(folder)) < 20, "it never begins anew"
    new, said = brought_back(tmp_path, spare)
    assert said.videos == 21
    assert ops(new) == ops(settings)


@pytest.mark.parametrize("torn", ["manifest", "piece", "flipped", "foreign"])
def test_a_torn_pass_leaves_the_one_before(
    tmp_path: Path, keeper: Replicator, folder: Folder, spare: Path, settings: Settings,
    record: Callable[[bytes], str], torn: str,
) -> None:
    keeper.once()
    before = ops(settings)
    record(b"a film")
    number = keeper.once().number
    manifest, piece = folder.path / f"manifest-{number:08}", folder.path / f"piece-{number:08}"
    if torn == "foreign":
        folder.keep(folder.manifest(number)[0], SigningKey.generate())
    elif torn == "flipped":
        content = piece.read_bytes()
        piece.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        os.truncate(manifest if torn == "manifest" else piece, 100)
    new, said = brought_back(tmp_path, spare)
    assert said.number == number - 1
    assert len(said.refused) == 1
    assert ops(new) == before


def test_a_disk_that_fails_in_the_middle_costs_nothing(
    tmp_path: Path, keeper: Replicator, folder: Folder, spare: Path, settings: Settings,
    record: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pass that failed had taken the changes; the next one must write them all the same."""
    keeper.once()
    record(b"a film")

    def full(self: Folder, manifest: Manifest, key: SigningKey) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "keep", full)
        with pytest.raises(QurbaniError, match="storage_full"):
            keeper.once()
    state = read_state(settings)
    assert state is not None
    assert "storage_full" in str(state.error)
    assert keeper.once().error is None
    new, _ = brought_back(tmp_path, spare)
    assert ops(new) == ops(settings)


def test_it_yields_nothing_to_a_thief(
    tmp_path: Path, keeper: Replicator, spare: Path, settings: Settings, keys: Keys, record: Callable[[bytes], str]
) -> None:
    record(b"a film that nobody else may see")
    keeper.once()
    everything = b"".join(path.read_bytes() for path in spare.rglob("*") if path.is_file())
    secrets = [b"Ahmed Benali", b"Yusuf", b"hub.example", b"yard.lan", b"PRIVATE KEY", b"nobody else may see"]
    assert not [secret for secret in secrets if secret in everything]
    assert b"Ahmed Benali" in settings.database.read_bytes() + settings.database.with_name("edge.db-wal").read_bytes()
    for wrong in (UnsealKey.generate(), keys.seal):
        with pytest.raises(QurbaniError, match="wrong_key"):
            brought_back(tmp_path, spare, wrong)
    assert not (tmp_path / "new" / "edge.db").exists()


def test_an_upload_goes_on_where_it_was(
    tmp_path: Path, keeper: Replicator, spare: Path, settings: Settings, keys: Keys, node: Node
) -> None:
    """Also what does not fill a segment yet; and what is taken back and sent otherwise, as after a failed write."""
    store = SealingStore(settings.uploads, [keys.seal.public, SealKey(keys.seal.public.raw)], keys.seal)
    upload = Upload("0" * 32, str(node.id), {}, 5 * SEGMENT_SIZE, LATER)
    content = os.urandom(5 * SEGMENT_SIZE)
    store.save(upload)
    appender = store.open(upload.id)
    appender.write(content[: SEGMENT_SIZE + 1000])
    appender.sync()
    appender.write(os.urandom(3 * SEGMENT_SIZE))  # never acknowledged
    keeper.once()
    appender.discard()
    appender = store.open(upload.id)
    assert appender.size == SEGMENT_SIZE + 1000
    for end in (4 * SEGMENT_SIZE + 100, 4 * SEGMENT_SIZE + 500):
        appender.write(content[appender.size : end])
        appender.sync()
        keeper.once()
    appender.close()
    new, said = brought_back(tmp_path, spare)
    assert said.uploads == 1
    brought = SealingStore(new.uploads, [keys.seal.public, SealKey(keys.seal.public.raw)], keys.seal)
    assert brought.load(upload.id) == upload
    rest = brought.open(upload.id)
    assert rest.size == 4 * SEGMENT_SIZE + 500
    rest.write(content[rest.size :])
    rest.finish()
    rest.close()
    assert b"".join(bytes(piece) for piece in brought.read(upload.id)) == content


def test_a_whole_upload_that_nobody_took_yet(
    tmp_path: Path, keeper: Replicator, spare: Path, settings: Settings, keys: Keys, node: Node
) -> None:
    store = SealingStore(settings.uploads, [keys.seal.public], keys.seal)
    upload = Upload("1" * 32, str(node.id), {}, 5, LATER)
    store.save(upload)
    appender = store.open(upload.id)
    appender.write(b"whole")
    upload = replace(upload, blob=appender.finish())
    appender.close()
    store.save(upload)
    keeper.once()
    new, _ = brought_back(tmp_path, spare)
    brought = SealingStore(new.uploads, [keys.seal.public], keys.seal)
    assert brought.load(upload.id) == upload
    assert b"".join(bytes(piece) for piece in brought.read(upload.id)) == b"whole"


def test_what_the_hub_has_and_the_box_let_go_leaves_the_replica(
    tmp_path: Path, keeper: Replicator, folder: Folder, spare: Path, db: Database, settings: Settings,
    record: Callable[[bytes], str],
) -> None:
    blob = record(b"a film")
    keeper.once()
    assert folder.blob(blob).exists()
    db.write(lambda tx: tx.execute("UPDATE blob SET sent = 1, confirmed_ms = 1, pruned = 1"))
    keeper.once()
    assert not folder.blob(blob).exists()
    _, said = brought_back(tmp_path, spare)
    assert said.lost == []


def test_a_video_that_the_replica_does_not_have_is_named(
    tmp_path: Path, keeper: Replicator, folder: Folder, spare: Path, settings: Settings, record: Callable[[bytes], str]
) -> None:
    damaged = record(b"a film")
    keeper.once()
    whole = record(b"another")
    assert keeper.once().left == 0
    folder.blob(damaged).write_bytes(b"not the bytes that its name says")
    new, said = brought_back(tmp_path, spare)
    assert [lost.tag for lost in said.lost] == ["17"]
    assert [path.name for path in new.blobs.glob("??/*")] == [whole]


def test_a_new_replica_catches_up_pass_by_pass(
    keeper: Replicator, folder: Folder, settings: Settings, record: Callable[[bytes], str]
) -> None:
    """The records come at once; a pass that has no time left copies no video, and says so."""
    first, last = record(b"first"), record(b"last")
    state = keeper.once(slice_s=-1)
    assert (state.left, state.number) == (2, 1)
    assert not folder.blob(last).exists()
    assert keeper.once().left == 0
    assert folder.blob(first).exists()


def test_a_disk_that_is_not_mounted_is_not_written_to(keeper: Replicator, spare: Path, settings: Settings) -> None:
    keeper.once()
    (spare / "qurbani-replica").rename(spare / "elsewhere")
    with pytest.raises(QurbaniError, match="replica_gone"):
        keeper.once()
    assert list(spare.iterdir()) == [spare / "elsewhere"]
    (spare / "elsewhere").rename(spare / "qurbani-replica")
    assert keeper.once().error is None


def test_another_disk_gets_everything(
    tmp_path: Path, keeper: Replicator, spare: Path, settings: Settings, record: Callable[[bytes], str]
) -> None:
    record(b"a film")
    keeper.once()
    keeper.once()
    (spare / "qurbani-replica").rename(tmp_path / "in the drawer")
    replicator.begin(spare)
    record(b"another")
    assert keeper.once().left == 0
    new, said = brought_back(tmp_path, spare)
    assert said.videos == 2
    assert ops(new) == ops(settings)


def test_a_folder_in_which_there_is_a_box(
    tmp_path: Path, keeper: Replicator, spare: Path, settings: Settings, node: Node, record: Callable[[bytes], str]
) -> None:
    blob = record(b"a film")
    keeper.once()
    new, _ = brought_back(tmp_path, spare)
    with opened(new) as box:
        box.blobs.drop(blob)
        recorded = ops(new)
    _, said = brought_back(tmp_path, spare)  # the same box: only what is missing
    assert (said.number, said.videos) == (0, 1)
    assert ops(new) == recorded

    other = Settings(data=str(tmp_path / "other"))
    other.make_folders()
    Keys.make(Vault(other.keys))
    Database(other.database).close()
    with pytest.raises(QurbaniError, match="conflict"):
        brought_back(tmp_path, spare, name="other")


def talk(settings: Settings, hub: Hub) -> Node:
    """An exchange of the box in that folder with the hub; who the box is afterwards."""
    with opened(settings) as box:
        outbox = Outbox(box.db, box.keys, box.capture, box.clock)
        who = Identity(box.node.id, box.keys.ring[box.node.sign_file], box.node.hub_verify)
        assert drive(Session(who, outbox, box.blobs, box.clock, new_id).run(), hub.answer) == {}
        found = identity.load(box.db)
        assert found is not None
        return found


@pytest.mark.parametrize("told", ["nothing more", "more"])
def test_no_ghost_of_the_old_box(
    tmp_path: Path, keeper: Replicator, spare: Path, settings: Settings, keys: Keys, clock: ManualClock,
    record: Callable[[bytes], str], told: str,
) -> None:
    """Where the old box had told the hub no more than the replica knows, the chain goes on. Else, and where the old
    one lives on, both histories are kept, under two names."""
    hub = Hub(clock)
    hub.nodes[NODE] = keys.sign.public
    record(b"a film")
    assert talk(settings, hub).id == NODE
    keeper.once()
    if told == "more":
        record(b"a film that the replica does not have")
        assert talk(settings, hub).id == NODE
    old, videos = list(hub.ops), len(hub.arrived)

    new, _ = brought_back(tmp_path, spare)
    with opened(new) as box:
        sacrifice = UUID(box.db.rows("SELECT id FROM sacrifice")[0]["id"])
        film(new, box.keys, box.capture, sacrifice, b"what the new box records")
    now = talk(new, hub)
    assert (now.id == NODE) is (told == "nothing more")
    assert hub.ops[: len(old)] == old, "what the old box had said stays as it was"
    assert [op.node for op in hub.ops[len(old) :]] == [now.id], "and the one op of the new one is there"
    assert [hash for _, hash in ops(new)] == [hash for hash, _ in hub.chains[now.id]]
    assert not hub.parked_
    assert len(hub.arrived) == videos + 1


def test_no_replica(tmp_path: Path, spare: Path) -> None:
    with pytest.raises(QurbaniError, match="no_replica"):
        brought_back(tmp_path, spare)
    with pytest.raises(QurbaniError, match="no_replica"):
        brought_back(tmp_path, tmp_path)


@pytest.mark.parametrize("kind", ["keys", "uploads", "recordings"])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    tmp_path: Path, keeper: Replicator, folder: Folder, spare: Path, keys: Keys, settings: Settings, kind: str
) -> None:
    """Anybody can seal for the operator; what comes out is still only taken for what it may be."""
    keeper.once()
    number = folder.numbers()[0]
    manifest = folder.manifest(number)[0]
    with folder.piece(manifest.pieces[0]) as file:
        head = Opened(file, OPERATOR).head
    evil = {"../../evil.pem": b"x" if kind == "keys" else Growing(b"x", b"", 0)}
    more: dict[str, Any] = {kind: {**getattr(head, kind), **evil}}
    piece = folder.write(number, replace(head, changed=[], **more), [], OPERATOR.public)
    folder.keep(replace(manifest, pieces=[piece]), keys.sign)
    with pytest.raises(QurbaniError, match="no_replica"):
        brought_back(tmp_path, spare)
    assert not list(tmp_path.rglob("evil.pem*"))


def test_the_doctor_looks_at_it(
    settings: Settings, keeper: Replicator, spare: Path, record: Callable[[bytes], str], other_disk: Path
) -> None:
    assert said(settings) is None
    kept = replace(settings, edge_replica=str(spare))
    assert "there is none" in str(said(kept))
    keeper.once()
    assert "dies with it" in str(said(settings)), "on the disk of the box itself"
    assert "the box does not run" in str(said(kept)), "the clock of the test stands in another year"
    record(b"a film")
    keeper.once(slice_s=-1)
    assert "1 files are not in it" in str(said(settings))
    keys = Keys.load(Vault(settings.keys))
    keeper = Replicator(settings, Database(settings.database), keys, SystemClock(), other_disk, {})
    replicator.begin(other_disk)
    keeper.once()
    finding = {each.what: each for each in doctor.examine(settings)}["replica"]
    assert finding.is_well, finding.detail
    (other_disk / "qurbani-replica").rename(other_disk / "elsewhere")
    with pytest.raises(QurbaniError):
        keeper.once()
    assert "replica_gone" in str(said(settings))


def said(settings: Settings) -> str | None:
    """What the doctor says of the replica, unless all is well or there is none."""
    found = {each.what: each for each in doctor.examine(settings)}.get("replica")
    return None if found is None or found.is_well else found.detail


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm", prefix="qurbani-") as name:
        if os.stat(name).st_dev == tmp_path.stat().st_dev:
            pytest.skip("this machine has one disk only")
        yield Path(name)
