"""A box in memory: ``edge``'s own database, capture, outbox and job ledger on SQLite without a file.

Stand-ins: sealed videos are bytes in a dictionary, and the check of a video says what the tape says.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec
import sqlite_utils

import edge.main
from edge import feed, jobs, migrations, sqlite
from edge import node as identity
from edge import stick as carried
from edge.capture import PROVE, Capture, Copy, Video
from edge.db import Database, Tx
from edge.node import FIRST, Keyring, Keys, Node
from edge.outbox import Outbox
from edge.room import Room
from edge.settings import Settings
from edge.vault import Vault
from shared.clock import Clock
from shared.crypto import SigningKey, UnsealKey
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from sync.ops import Op
from sync.ports import Position
from sync.session import Identity, Session
from sync.simulation.power import Power
from sync.simulation.stick import TO_BOX, TO_HUB, Stick

T = TypeVar("T")
Name = tuple[str, UUID]


class MemoryDatabase(Database):
    """The box's database without a file: its own schema and transactions, and a disk that fails on demand."""

    def __init__(self, power: Power) -> None:
        self._power = power
        self._write_lock, self._read_lock, self._waiting = threading.Lock(), threading.Lock(), deque()
        connection = _connect()
        _template().backup(connection)
        self._writer = self._reader = sqlite_utils.Database(connection)

    def write(self, work: Callable[[Tx], T]) -> T:
        def and_then(tx: Tx) -> T:
            result = work(tx)
            self._power.before_commit()
            return result

        result = super().write(and_then)
        self._power.after_commit()
        return result

    def crash(self) -> None:
        """What was not committed is gone."""
        self._writer.conn.rollback()

    def save(self) -> Any:
        self._writer.conn.commit()  # a copy waits for whoever is writing, here for ever
        image = _connect()
        self._writer.conn.backup(image)
        return image

    def restore(self, image: Any) -> None:
        self.crash()
        image.backup(self._writer.conn)

    def close(self) -> None:
        self._writer.conn.close()


class Blobs:
    """A :class:`sync.ports.Blobs` in memory."""

    def __init__(self, held: dict[str, bytes] | None = None) -> None:
        self.held = held or {}

    def read(self, blob_id: str, offset: int, size: int) -> bytes:
        if blob_id not in self.held:
            raise QurbaniError("damaged", "it is not on the disk")
        return self.held[blob_id][offset : offset + size]

    def drop(self, blob_id: str) -> None:
        self.held.pop(blob_id, None)


class FullDisk:
    """A disk without a free byte: whatever may go has to."""

    free = reserve = 0


class Ring:
    """A :class:`edge.node.Keyring` in memory. Every box draws other keys, also one that was copied."""

    def __init__(self, first: SigningKey, seed: int) -> None:
        self.held = {FIRST: first}
        self._seed = seed
        self._drawn = 0

    def __getitem__(self, name: str) -> SigningKey:
        return self.held[name]

    def make(self, name: str) -> SigningKey:
        if name not in self.held:
            self._drawn += 1
            self.held[name] = SigningKey(hashlib.sha256(f"{self._seed} {self._drawn}".encode()).digest())
        return self.held[name]


class Image(msgspec.Struct, frozen=True):
    """A copy of a box's disk."""

    database: Any
    blobs: dict[str, bytes]
    keys: dict[str, SigningKey]


class SimulatedBox:
    """A :class:`sync.simulation.ports.Box`. Its programs are wired as in :mod:`edge.main`."""

    def __init__(self, node: Node, key: SigningKey, clock: Clock, seed: int) -> None:
        self.power = Power()
        self._clock = clock
        self._ring = Ring(key, seed)
        self._keys = Keys(key, SEAL, cast(Keyring, self._ring), cast(Vault, None))
        self._ids = iter(range(seed << 64, seed + 1 << 64))
        self._db = MemoryDatabase(self.power)
        self._blobs = Blobs()
        identity.save(self._db, node)
        self._start()

    @property
    def node(self) -> UUID:
        return self._outbox.position().node

    def boot(self) -> None:
        self._db.crash()
        self._start()

    def _start(self) -> None:
        node = identity.load(self._db)
        assert node is not None
        self._capture = Capture(self._db, self._keys.ring, self._clock, self._new_id)
        self._outbox = Outbox(self._db, self._keys, self._capture, self._clock)
        who = Identity(node.id, self._keys.ring[node.sign_file], node.hub_verify)
        self._session = Session(who, self._outbox, self._blobs, self._clock, self._new_id)
        self._db.write(jobs.free)

    def session(self) -> Session:
        return self._session

    # What people do

    def open(self, n: int) -> bool:
        animal = self._pick("SELECT id FROM animal ORDER BY id", n)
        if animal is None:
            return False
        # A tablet that got no answer asks again, perhaps at the site's other box, and with the same id.
        id = UUID(int=animal.int ^ 1 << 127) if n % 2 else self._new_id()
        self._capture.open_sacrifice(id, animal, self._person(n))
        return True

    def film(self, n: int, size: int) -> bool:
        sacrifice = self._pick("SELECT id FROM sacrifice ORDER BY id", n)
        if sacrifice is None:
            return False
        id = self._new_id()
        content = id.bytes * (size // 16 + 1)
        blob_id = hashlib.sha256(content).hexdigest()
        self._blobs.held[blob_id] = content
        video = Video(id, sacrifice, hashlib.sha256(id.bytes).hexdigest(), size, blob_id, len(content), "video/mp4")
        self._capture.keep_video(video, self._person(n))
        return True

    def judge(self, n: int) -> bool:
        now, token = self._clock.read(), self._new_id()
        lease = self._db.write(lambda tx: jobs.take(tx, now, token))
        if lease is None:
            return False
        if lease.kind == PROVE:
            self._capture.keep_copies(lease, lease.key, [self._poster(token)])
        else:
            outcome = ("authentic", "review", "rejected")[n % 3]
            self._capture.record_verdict(lease, lease.key, Verdict(outcome, "simulated"))
        return True

    def _poster(self, id: UUID) -> Copy:
        content = id.bytes * 10
        blob_id = hashlib.sha256(content).hexdigest()
        self._blobs.held[blob_id] = content
        return Copy("poster", hashlib.sha256(id.bytes).hexdigest(), 16, blob_id, len(content))

    def note(self, n: int) -> bool:
        sacrifice = self._pick("SELECT id FROM sacrifice ORDER BY id", n)
        return sacrifice is not None and self._write(sacrifice, {"note": f"note {n}"}, n)

    def spoil(self, n: int) -> bool:
        return self._write(UUID(int=n), {"nonsense": n}, n)

    def _write(self, key: UUID, patch: dict[str, Any], n: int) -> bool:
        now, actor = self._clock.read(), str(self._person(n))
        self._db.write(lambda tx: self._capture._append(tx, now, "sacrifice", key, patch, actor))
        return True

    # What carries it elsewhere, or away

    def export(self, stick: Stick) -> None:
        node = self.node
        carried.write(self._box(), stick.folder(node, TO_HUB), stick.folder(node, TO_BOX))

    def take_back(self, stick: Stick) -> None:
        carried.read(self._box(), stick.folder(self.node, TO_BOX))

    def tidy(self) -> None:
        Room(self._db, cast(Any, self._blobs), cast(Any, FullDisk()), cast(Any, None), 1).make(0)

    def _box(self) -> edge.main.Box:
        node = identity.load(self._db)
        assert node is not None
        settings, blobs = cast(Settings, None), cast(Any, self._blobs)
        return edge.main.Box(settings, self._clock, self._db, self._keys, node, self._capture, blobs)

    # What is on the disk

    def position(self) -> Position:
        return self._outbox.position()

    def ops(self, after: int) -> Sequence[tuple[Op, bytes]]:
        rows = self._db.read(lambda tx: tx.execute(_OPS, [after]).fetchall())
        node = self.node
        return [
            (Op(node, seq, hlc, entity, UUID(key), msgspec.msgpack.decode(patch), actor, prev), digest)
            for seq, hlc, entity, key, patch, actor, prev, digest in rows
        ]

    def fed(self) -> Mapping[Name, Mapping[str, Any]]:
        return self._db.read(feed.records)

    def blobs(self) -> Mapping[str, bool]:
        rows = self._db.read(lambda tx: tx.execute("SELECT id, sent FROM blob").fetchall())
        return {id: bool(sent) for id, sent in rows if id in self._blobs.held}

    def wanted(self) -> set[str]:
        return {id for (id,) in self._db.read(lambda tx: tx.execute("SELECT id FROM blob").fetchall())}

    def save(self) -> Image:
        return Image(self._db.save(), dict(self._blobs.held), dict(self._ring.held))

    def restore(self, image: Image) -> None:
        self._db.restore(image.database)
        self._blobs.held, self._ring.held = dict(image.blobs), dict(image.keys)

    def close(self) -> None:
        self._db.close()

    def _new_id(self) -> UUID:
        return UUID(int=next(self._ids))

    def _pick(self, sql: str, n: int) -> UUID | None:
        keys = self._db.read(lambda tx: tx.execute(sql).fetchall())
        return UUID(keys[n % len(keys)][0]) if keys else None

    def _person(self, n: int) -> UUID:
        return UUID(int=0xE << 96 | n % 3)


_OPS = "SELECT seq, hlc, entity, key, patch, actor, prev, hash FROM op WHERE seq > ? ORDER BY seq"

SEAL = UnsealKey(bytes(32))
_templates: list[Any] = []


def _template() -> Any:
    """A database with today's schema, made once: to copy it is quicker than to migrate."""
    if not _templates:
        connection = _connect()
        connection.execute("PRAGMA page_size = 1024")
        template = sqlite_utils.Database(connection)
        migrations.apply(template)
        feed.make_views(template)
        _templates.append(connection)
    return _templates[0]


def _connect() -> Any:
    connection = sqlite.library().connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection
