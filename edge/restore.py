"""Makes a box out of a replica: see :mod:`edge.replica`.

The new box is the old one: its name, its keys, its chain of ops. So it must be the only one. Where the old one had told
the hub more than the replica knows, or lives on, the hub finds two histories of one name at the first contact, and the
new box takes a name of its own and goes on from the last op in common (``sync/PROTOCOL.md``, `renew`): nothing of
either is overwritten. Sealed files have keys and nonces drawn at random, so none is used twice, either way.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import msgspec

from edge import jobs, sqlite
from edge import node as identity
from edge.blobs import Blobs
from edge.db import Database, Tx
from edge.node import KEY_FILES, Keys
from edge.replica import Folder, Growing, Head, Manifest, Opened, boxes, check
from edge.settings import Settings
from edge.vault import Vault
from shared.crypto import SigningKey, UnsealKey
from shared.errors import QurbaniError
from shared.files import pieces, replaced_whole, sync_folder, write_whole

SETTINGS = "restored.env"
"""In the data folder: what was set on the old box."""

_KEY_FILE = re.compile(r"[a-z0-9-]+\.pem")
_UPLOAD = re.compile(r"[0-9a-f]{32}")
_RECORDING = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([0-9]{4})")

_AT_ONCE = "id IN (SELECT blob_id FROM video JOIN job ON job.key = video.id WHERE job.state = 'open')"
"""What the worker looks for as soon as it runs."""

Moved = Callable[[int], None]


class Lost(msgspec.Struct, frozen=True):
    """A video of which the replica has the record and not the bytes, and the tag of its animal."""

    video_id: UUID
    tag: str | None


class Restored(msgspec.Struct, frozen=True):
    """What came back: the box as it was at ``wall_ms`` by its own clock, in generation ``number`` of its replica.

    ``uploads`` and ``recordings`` were under way. ``refused`` says why newer generations were not taken, ``lost`` which
    videos are without their bytes. Where the box was in the folder already, only videos were brought back and
    ``number`` is 0.
    """

    node: UUID
    name: str
    number: int
    wall_ms: int
    videos: int
    uploads: int
    recordings: int
    lost: list[Lost]
    refused: list[str]


class _Found(msgspec.Struct, frozen=True):
    """The newest generation that holds, and what was wrong with newer ones."""

    manifest: Manifest
    head: Head
    refused: list[str]


def restore(
    settings: Settings,
    replica: Path,
    key: UnsealKey,
    box: str,
    ready: Callable[[], None],
    moved: Moved,
    vault: Vault | None = None,
) -> Restored:
    """Bring the box ``box`` (empty: the only one in ``replica``) back into an empty data folder.

    Its keys go into ``vault``; without one they lie open. ``ready`` is called as soon as the box may be started: the
    videos that it does not need at once follow then. Safe to repeat, also after it was killed. Raises ``no_replica``,
    ``wrong_key``, or ``conflict`` where another box is.
    """
    folder = Folder.of(replica, _choose(replica, box))
    settings.make_folders()
    vault = vault or Vault(settings.keys)
    found = None if settings.database.exists() else _records(settings, vault, folder, key, moved)
    seal = Keys.load(vault).seal
    if seal.public.id != folder.path.name:
        raise QurbaniError("conflict", f"there is another box in {settings.folder}")
    ready()
    db = Database(settings.database)
    try:
        videos, lost = _bring(Blobs(settings.blobs, seal), folder, db, "NOT pruned", moved)
        who = identity.load(db)
        assert who is not None, "only a box that has enrolled is replicated"
        return Restored(
            node=who.id,
            name=who.name,
            number=found.manifest.number if found else 0,
            wall_ms=found.manifest.wall_ms if found else 0,
            videos=videos,
            uploads=len(found.head.uploads) if found else 0,
            recordings=len({name[:36] for name in found.head.recordings}) if found else 0,
            lost=db.read(lambda tx: _named(tx, lost)),
            refused=found.refused if found else [],
        )
    finally:
        db.close()


def _choose(replica: Path, box: str) -> str:
    there = boxes(replica)
    if box in there:
        return box
    if box or len(there) != 1:
        which = f": there are {', '.join(there)}, name one with --box" if there else ""
        raise QurbaniError("no_replica", f"{replica} does not hold the one replica to restore{which}")
    return there[0]


def _records(settings: Settings, vault: Vault, folder: Folder, key: UnsealKey, moved: Moved) -> _Found:
    """All that the box needs to be started; the database last, so that it says that the rest is there."""
    image = settings.run / "restored.db"
    found = _newest(folder, key, image)
    for name, pem in found.head.keys.items():
        vault.write(name, pem)
    lines = [f"{name}={value}\n" for name, value in sorted(found.head.settings.items())]
    write_whole(settings.folder / SETTINGS, [line.encode() for line in lines])
    _models(folder, settings.folder / "models")
    _uploads(settings, folder, found.head)
    _recordings(settings, folder, found.head)
    db = Database(image)
    try:
        _bring(Blobs(settings.blobs, Keys.load(vault).seal), folder, db, _AT_ONCE, moved)
        db.write(lambda tx: _as_after_a_crash(tx, folder))
    finally:
        db.close()
    with image.open("rb") as file:
        os.fsync(file.fileno())
    image.rename(settings.database)
    sync_folder(settings.folder)
    return found


def _newest(folder: Folder, key: UnsealKey, image: Path) -> _Found:
    refused, first = [], QurbaniError("no_replica", f"there is no generation in {folder.path}")
    for number in folder.numbers():
        try:
            manifest, head = _assemble(folder, number, key, image)
        except (OSError, QurbaniError) as error:
            refused.append(f"generation {number}: {error.detail if isinstance(error, QurbaniError) else error}")
            if isinstance(error, QurbaniError) and error.code == "wrong_key":
                first = error
            continue
        return _Found(manifest, head, refused)
    if first.code == "no_replica" and refused:
        raise QurbaniError("no_replica", refused[0])
    raise first


def _assemble(folder: Folder, number: int, key: UnsealKey, image: Path) -> tuple[Manifest, Head]:
    """Write the database of a generation to ``image``. Raises what is wrong with it."""
    manifest, body, signature = folder.manifest(number)
    head: Head | None = None
    with replaced_whole(image) as out:
        for piece in manifest.pieces:
            with folder.piece(piece) as file:
                opened = Opened(file, key)
                head = opened.head
                for place, page in opened.pages():
                    out.seek(place * head.page_size)
                    out.write(page)
        assert head is not None, "a manifest has pieces"
        out.truncate(head.page_size * head.pages)
    kinds = ((_KEY_FILE, head.keys), (_UPLOAD, head.uploads), (_RECORDING, head.recordings))
    names_are_plain = all(kind.fullmatch(name) for kind, names in kinds for name in names)
    if not names_are_plain or not set(KEY_FILES) <= head.keys.keys():
        raise QurbaniError("damaged", f"generation {number} holds files that no box has, or lacks its keys")
    node, sign_file = _who(image)
    check(body, signature, SigningKey.from_pem(head.keys.get(sign_file, b"")))
    if node != manifest.node or UnsealKey.from_pem(head.keys[KEY_FILES[1]]).public.id != folder.path.name:
        raise QurbaniError("damaged", f"generation {number} is of another box")
    return manifest, head


def _who(image: Path) -> tuple[UUID, str]:
    """The name by which the box in a copy of its database goes, and the file of its key. Raises ``damaged``."""
    library = sqlite.library()
    connection = library.connect(f"{image.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise QurbaniError("damaged", "its database is not sound")
        id, sign_file = connection.execute("SELECT id, sign_file FROM node").fetchone()
        return UUID(id), sign_file
    except library.DatabaseError as error:
        raise QurbaniError("damaged", f"its database is not sound: {error}") from error
    finally:
        connection.close()


def _uploads(settings: Settings, folder: Folder, head: Head) -> None:
    for id, growing in head.uploads.items():
        target = settings.uploads / id
        target.mkdir(exist_ok=True, mode=0o700)
        _grown(growing, folder.uploads / id, target / "data")
        write_whole(target / "info", [growing.info])
    sync_folder(settings.uploads)


def _recordings(settings: Settings, folder: Folder, head: Head) -> None:
    """What was filmed of those under way: the recorder, or the doctor, makes videos of it."""
    for name, growing in head.recordings.items():
        id, part = _RECORDING.fullmatch(name).groups()  # type: ignore[union-attr] - looked at when it was read
        target = settings.recordings / id
        target.mkdir(exist_ok=True, mode=0o700)
        _grown(growing, folder.recordings / name, target / part)
    sync_folder(settings.recordings)


def _grown(growing: Growing, source: Path, target: Path) -> None:
    if growing.size and source.exists():
        write_whole(target, pieces(source, growing.size))
        write_whole(target.with_name(target.name + ".tail"), [growing.tail])


def _models(folder: Folder, target: Path) -> None:
    for file in folder.models.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(folder.models)
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_whole(copy, pieces(file), mode=0o644)


def _as_after_a_crash(tx: Tx, folder: Folder) -> None:
    """What was under way on the old box is not under way here."""
    jobs.free(tx)
    tx.execute("UPDATE claim SET until_ms = 0")
    tx.execute("UPDATE recording SET boot = ''")  # what was filmed becomes a video; no camera here goes on with it
    gone = [row["id"] for row in tx.query("SELECT id FROM blob WHERE confirmed_ms IS NOT NULL AND NOT pruned")]
    for blob_id in gone:
        if not folder.blob(blob_id).exists():  # the old box let it go after this generation: the hub has it
            tx.execute("UPDATE blob SET pruned = 1 WHERE id = ?", [blob_id])


def _bring(blobs: Blobs, folder: Folder, db: Database, which: str, moved: Moved) -> tuple[int, set[str]]:
    """Copy the sealed files that are not here yet, the newest first; how many are here then, and which are lost."""
    lost, here = set(), 0
    for row in db.rows(f"SELECT id, size FROM blob WHERE {which} ORDER BY rowid DESC"):  # noqa: S608 - constants
        if blobs.path(row["id"]).exists() or _bring_one(folder.blob(row["id"]), blobs, row["id"], moved):
            here += 1
        else:
            lost.add(row["id"])
    return here, lost


def _bring_one(source: Path, blobs: Blobs, blob_id: str, moved: Moved) -> bool:
    """Whether it is here now: its name says what its bytes must be."""
    target, sha256 = blobs.path(blob_id), hashlib.sha256()

    def counted() -> Iterator[bytes]:
        for piece in pieces(source):
            sha256.update(piece)
            moved(len(piece))
            yield piece
        if sha256.hexdigest() != blob_id:
            raise QurbaniError("damaged", f"the replica of {blob_id} is damaged")

    target.parent.mkdir(exist_ok=True, mode=0o700)
    try:
        write_whole(target, counted())
    except (FileNotFoundError, QurbaniError):
        return False
    sync_folder(target.parent.parent)
    return True


def _named(tx: Tx, lost: set[str]) -> list[Lost]:
    rows = tx.query("""
        SELECT video.id, video.blob_id, animal.tag FROM video
        JOIN sacrifice ON sacrifice.id = video.sacrifice_id LEFT JOIN animal ON animal.id = sacrifice.animal_id""")
    return [Lost(UUID(row["id"]), row["tag"]) for row in rows if row["blob_id"] in lost]
