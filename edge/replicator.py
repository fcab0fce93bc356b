"""Keeps a replica of the box up to date, a pass a second, while the box works: see :mod:`edge.replica`.

In each pass the order is what keeps promises: first what uploads and recordings stand at, then the database, then the
videos that it names, then the manifest. What ends in between is known to the database, never only to its own note; and
a video that the database knows is there, unless it is one of those that a new replica has yet to catch up with.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from edge import node as identity
from edge import sqlite
from edge.db import Database
from edge.follow import Follower
from edge.node import Keys
from edge.replica import ROOT, Folder, Growing, Head, Manifest
from edge.settings import Settings
from shared.clock import Clock, Reading
from shared.crypto import SealKey
from shared.errors import QurbaniError
from shared.files import pieces, sync_folder, write_whole
from shared.settings import PREFIX
from shared.tus.store import Upload

PAUSE_S = 1.0
"""Between two passes. With a pass itself, it bounds what a box that dies takes with it."""

SLICE_S = 2.0
"""How long a pass copies videos before it writes its generation: a new replica of an old box takes many passes."""

MAX_PIECES = 600
"""After so many with changes, or when they are larger than the whole, all of the database is written anew."""

_log = structlog.get_logger(__name__)

_Seen = tuple[int, list[tuple[str, int, int]]]
"""The version of the database, and what its uploads and recordings stood at."""


class State(msgspec.Struct, frozen=True):
    """How the replica stood ``at`` the end of the last pass that ended well: what follows lives nowhere else.

    ``left`` is how many videos are not in it yet, ``error`` what is wrong with it since then.
    """

    folder: str
    at: Reading | None = None
    number: int = 0
    left: int = 0
    error: str | None = None

    def age_s(self, now: Reading) -> float | None:
        """How old the replica is; None when there is none."""
        return None if self.at is None else self.at.ms_until(now) / 1000


def read_state(settings: Settings) -> State | None:
    """None for a box that shall have no replica and has none."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(settings.replica_state.read_bytes(), type=State)
    return State(settings.edge_replica) if settings.edge_replica else None


def recipient(settings: Settings) -> SealKey:
    """For whom replicas are sealed. Raises ``misconfigured``."""
    try:
        return SealKey(bytes.fromhex(settings.edge_replica_key))
    except (ValueError, QurbaniError) as error:
        detail = "QURBANI_EDGE_REPLICA_KEY must be what `qurbani edge replica-key` printed: 64 hex digits"
        raise QurbaniError("misconfigured", detail) from error


def begin(folder: Path) -> None:
    """Let replicas be kept in ``folder``, which must be there. Only a person does that: see :class:`Replicator`."""
    if not folder.is_dir():
        raise QurbaniError("replica_gone", f"there is no folder {folder}")
    (folder / ROOT).mkdir(exist_ok=True, mode=0o700)


def run(replicator: Replicator) -> None:
    """Pass after pass, for ever. Ending it at any moment is safe."""
    told = ""
    while True:
        try:
            replicator.once()
            told = ""
        except QurbaniError as error:
            if told != error.code:
                _log.error("not_replicated", code=error.code, detail=error.detail)
            told = error.code
        time.sleep(PAUSE_S)


class _Grown(NamedTuple):
    """The films under way, by what they are called in a :class:`Head`."""

    uploads: dict[str, Growing]
    recordings: dict[str, Growing]


class Replicator:
    """Writes the replica of one box into ``folder``, where one was begun: a folder without is a disk not mounted."""

    def __init__(
        self, settings: Settings, db: Database, keys: Keys, clock: Clock, folder: Path, environ: Mapping[str, str]
    ) -> None:
        """``environ`` is that of the box; its settings go into the replica, too. Raises ``misconfigured``."""
        self._settings = settings
        self._db = db
        self._keys = keys
        self._clock = clock
        self._root = folder / ROOT
        self._folder = Folder.of(folder, keys.seal.public.id)
        self._recipient = recipient(settings)
        self._environ = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
        self._state = State(str(folder))
        self._follower = Follower()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._image = _Image(self._settings.run / "replica.db")
        self._manifests: list[Manifest] = []
        self._written: object = None
        self._seen: _Seen | None = None
        self._whole: set[str] = set()
        self._is_full = False

    def once(self, slice_s: float = SLICE_S) -> State:
        """One pass; the next one goes on where it was. Raises ``replica_gone``, ``storage_full`` or ``locked``."""
        try:
            if not self._root.is_dir():
                raise QurbaniError("replica_gone", f"there is no {self._root}")
            self._folder.make()
            with _alone(self._settings.run / "replica.lock"):
                self._pass(time.monotonic() + slice_s)
        except (OSError, QurbaniError) as error:
            failure = error if isinstance(error, QurbaniError) else _told(error, self._root)
            self._seen = None
            self._tell(msgspec.structs.replace(self._state, error=failure.line()))
            raise failure from error
        return self._state

    def _pass(self, deadline: float) -> None:
        if self._manifests and not self._folder.holds(self._manifests[-1]):
            self._begin_anew()  # another disk
        at, left = self._clock.read(), 0
        seen = self._db.version(), _stamps(self._settings.uploads) + _stamps(self._settings.recordings)
        if seen != self._seen:
            growing = _Grown(self._uploads(deadline), self._recordings(deadline))
            changed = self._image.take(self._db)
            left = self._blobs(deadline)
            self._models()
            self._write(at, changed, growing)
            self._tidy(growing)
            self._seen = None if left else seen
        error = QurbaniError("storage_full", f"no room on {self._root}").line() if self._is_full else None
        self._tell(State(self._state.folder, at, self._manifests[-1].number, left, error))

    def _write(self, at: Reading, changed: list[int], growing: _Grown) -> None:
        """The next generation: what ``changed`` after those before, or everything."""
        vault = self._keys.vault  # not as they lie there: who is to open the replica may lack what opens this box
        keys = {name: vault.read(name) for name in vault.names()}
        if self._manifests and not changed and self._written == (keys, growing):
            return
        number, pieces = 1 + max(self._folder.numbers(), default=0), []
        if self._manifests:
            pieces = list(self._manifests[-1].pieces)
            if len(pieces) > MAX_PIECES or sum(piece.size for piece in pieces[1:]) > pieces[0].size:
                pieces = []
        if not pieces:
            changed = list(range(self._image.pages))
        head = Head(
            self._image.page_size, self._image.pages, changed, keys, growing.uploads, self._environ, growing.recordings
        )
        piece = self._folder.write(number, head, self._image.read(changed), self._recipient)
        node = identity.load(self._db)
        assert node is not None, "a box that runs is enrolled"
        manifest = Manifest(node=node.id, number=number, wall_ms=at.wall_ms, pieces=[*pieces, piece])
        self._folder.keep(manifest, self._keys.ring[node.sign_file])
        self._image.is_kept()
        self._written = keys, growing
        # The one before stays, for a disk that loses what it said it had written.
        self._manifests = [*self._manifests[-1:], manifest]

    def _uploads(self, deadline: float) -> dict[str, Growing]:
        found = {}
        for info in sorted(self._settings.uploads.glob("*/info")):
            with suppress(FileNotFoundError, msgspec.DecodeError):  # it ended a moment ago
                found[info.parent.name] = self._upload(info, deadline)
        return found

    def _upload(self, info: Path, deadline: float) -> Growing:
        note = msgspec.json.decode(info.read_bytes(), type=Upload)
        if note.is_finished:
            return Growing(msgspec.json.encode(note), b"", 0)
        size = note.blob.blob_size if note.blob else None
        grown = self._grown(info.with_name("data"), self._folder.uploads / info.parent.name, deadline, size)
        if size and grown.size < size:
            note = msgspec.structs.replace(note, blob=None)  # as it was before the last of it had come
        return msgspec.structs.replace(grown, info=msgspec.json.encode(note))

    def _recordings(self, deadline: float) -> dict[str, Growing]:
        found = {}
        for part in sorted(self._settings.recordings.glob("*/[0-9][0-9][0-9][0-9]")):
            name = f"{part.parent.name}-{part.name}"
            with suppress(FileNotFoundError):  # it ended a moment ago
                found[name] = self._grown(part, self._folder.recordings / name, deadline)
        return found

    def _grown(self, film: Path, copy: Path, deadline: float, size: int | None = None) -> Growing:
        """What there is of a film, in ``copy`` as far as it fills segments; all of it where its ``size`` is final."""
        tail = film.with_name(film.name + ".tail")
        # The tail first: what it holds is in it or, by the time they are copied, in the segments.
        kept = tail.read_bytes() if tail.exists() else b""
        return Growing(b"", kept, self._follower.follow(film, copy, deadline, size) if film.exists() else 0)

    def _blobs(self, deadline: float) -> int:
        """Copy the videos that the database names, the newest first; how many are left."""
        self._is_full = False
        wanted = self._image.blobs()
        for gone in self._whole - wanted.keys():  # the hub has it, and the box has let it go
            self._folder.blob(gone).unlink(missing_ok=True)
        self._whole &= wanted.keys()
        for blob_id, size in wanted.items():
            if blob_id not in self._whole and self._blob(blob_id, size, deadline):
                self._whole.add(blob_id)
        return len(wanted) - len(self._whole)

    def _blob(self, blob_id: str, size: int, deadline: float) -> bool:
        """Whether it is there, under its own name only when it is whole."""
        source, target = self._settings.blobs / blob_id[:2] / blob_id, self._folder.blob(blob_id)
        if target.exists():
            return True
        if time.monotonic() > deadline or not source.exists():
            return False
        # Videos leave room for records, as on the box itself.
        if shutil.disk_usage(self._root).free - size < self._settings.edge_ballast_bytes:
            self._is_full = True
            return False
        part = target.with_name(f"{blob_id}.part")
        part.parent.mkdir(exist_ok=True, mode=0o700)
        if not part.exists():
            self._follower.take_over(source, (self._folder.uploads, self._folder.recordings), part)
        if self._follower.follow(source, part, deadline, size) < size:
            return False
        part.rename(target)
        sync_folder(target.parent)
        return True

    def _models(self) -> None:
        """A spare box without a network could not get them."""
        source = self._settings.folder / "models"
        for file in () if self._manifests else source.rglob("*"):
            target = self._folder.models / file.relative_to(source)
            if file.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                write_whole(target, pieces(file))

    def _tidy(self, growing: _Grown) -> None:
        self._folder.tidy(self._manifests)
        for folder, known in (
            (self._folder.uploads, growing.uploads), (self._folder.recordings, growing.recordings),
        ):  # fmt: skip
            for each in folder.iterdir():
                if each.name not in known or not known[each.name].size:
                    each.unlink()

    def _tell(self, state: State) -> None:
        self._state = state
        part = self._settings.replica_state.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(state))  # not flushed: it tells nothing that outlives the machine
        part.replace(self._settings.replica_state)


class _Image:
    """A copy of the database in a file of its own, and how its pages differ from those that the replica has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.page_size = 0
        self._now: list[bytes] = []
        self._kept: list[bytes] = []

    @property
    def pages(self) -> int:
        return len(self._now)

    def take(self, db: Database) -> list[int]:
        """Copy; the places of the pages that are others than those kept."""
        db.backup(self._path)
        with self._path.open("rb") as file:
            # https://sqlite.org/fileformat.html, section 1.3.2: 65536 is written as 1.
            size = int.from_bytes(file.read(18)[16:], "big")
            self.page_size = 65536 if size == 1 else size
            file.seek(0)
            pages = iter(lambda: file.read(self.page_size), b"")
            self._now = [hashlib.blake2b(page, digest_size=16).digest() for page in pages]
        kept = self._kept
        return [place for place, now in enumerate(self._now) if place >= len(kept) or kept[place] != now]

    def is_kept(self) -> None:
        """What was taken last is in the replica."""
        self._kept = self._now

    def read(self, places: list[int]) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            for place in places:
                file.seek(place * self.page_size)
                yield file.read(self.page_size)

    def blobs(self) -> dict[str, int]:
        """The sealed files that the box holds by this copy, and their sizes, the newest first."""
        image = sqlite.library().connect(f"{self._path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            return dict(image.execute("SELECT id, size FROM blob WHERE NOT pruned ORDER BY rowid DESC").fetchall())
        finally:
            image.close()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Raises ``locked`` while another process replicates this box."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise QurbaniError("locked", "another process keeps the replica of this box") from error
        yield


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """What changes whenever an upload or a recording in ``folder`` does."""
    found = []
    for file in sorted(folder.glob("*/*")):
        with suppress(FileNotFoundError):
            told = file.stat()
            found.append((str(file), told.st_size, told.st_mtime_ns))
    return found


def _told(error: OSError, root: Path) -> QurbaniError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return QurbaniError("storage_full", f"there is no room on {root}")
    return QurbaniError("replica_gone", f"{root}: {os.strerror(error.errno) if error.errno else error}")
