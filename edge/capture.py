"""The one place where the box writes down what happened: row, op and job in one transaction, or nothing.

Nothing else in ``edge`` inserts an op or a synced record. Every function is safe to repeat: a client that
never heard the answer sends the same ids again and gets the same result.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import structlog

from edge import claims, feed, jobs, manifests
from edge.db import Database, Tx, one
from edge.node import Keyring
from shared import trace
from shared.clock import Clock, Reading
from shared.crypto import SigningKey
from shared.domain.sacrifice import SACRIFICE
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from shared.ids import NewId
from sync import hlc
from sync.feed import Page
from sync.messages import Change
from sync.ops import GENESIS, Op, encode, op_hash, sign_op

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Patch = dict[str, Any]

BOX = "box"
"""The actor of what no person did."""

VALIDATE = "validate"
"""The job that checks a video; its key is the video's id."""
PROVE = "prove"
"""The job that makes what goes ahead of a video that was checked; its key is the video's id."""


class Video(msgspec.Struct, frozen=True):
    """A whole video, sealed and on the disk. ``sha256`` and ``size`` are of the original, ``blob_*`` of the seal."""

    id: UUID
    sacrifice_id: UUID
    sha256: str
    size: int
    blob_id: str
    blob_size: int
    media_type: str


class Copy(msgspec.Struct, frozen=True):
    """A file made of a video, sealed and on the disk: its ``poster`` or ``preview``. The names are as in ``Video``."""

    variant: str
    sha256: str
    size: int
    blob_id: str
    blob_size: int


class Photo(msgspec.Struct, frozen=True):
    """A picture of the record ``of``, sealed and on the disk. The names are as in ``Video``."""

    id: UUID
    of: UUID
    sha256: str
    size: int
    blob_id: str
    blob_size: int
    media_type: str


class Capture:
    """Writes records with the ``keys`` of this box. ``clock`` and ``new_id`` say when and what is new."""

    def __init__(self, db: Database, keys: Keyring, clock: Clock, new_id: NewId) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock
        self._new_id = new_id

    def open_sacrifice(self, id: UUID, animal_id: UUID, executor_id: UUID, claim: int | None = None) -> None:
        """An executor stands before an animal, under the ``claim`` of that number if a tablet took one.

        Raises ``not_found``, ``conflict`` when it was opened before, ``claim_lost`` or ``claimed``.
        """
        now = self._clock.read()

        def work(tx: Tx) -> None:
            known = one(tx, "SELECT id, animal_id FROM sacrifice WHERE id = ? OR animal_id = ?", id, animal_id)
            if known == {"id": str(id), "animal_id": str(animal_id)}:
                return
            if known is not None:
                raise QurbaniError("conflict", "this animal has a sacrifice already", sacrifice_id=known["id"])
            animal = one(tx, "SELECT site_id, frozen FROM animal WHERE id = ?", animal_id)
            if animal is None:
                raise QurbaniError("not_found", "no such animal at this site")
            claims.check(tx, now, animal_id, executor_id, claim)
            row = {"animal_id": str(animal_id), "executor_id": str(executor_id), "state": SACRIFICE.first}
            tx.table("sacrifice").insert({"id": str(id), "opened": _json(now), **row})
            patch = {**row, "site_id": animal["site_id"], "opened": msgspec.to_builtins(now)}
            patch["frozen"] = bool(animal["frozen"])
            self._append(tx, now, "sacrifice", id, patch, str(executor_id))

        self._db.write(work)
        _log.info("sacrifice_opened", trace=trace.of(id))

    def keep_video(self, video: Video, executor_id: UUID) -> str:
        """A video has arrived whole. Returns when it is durable together with the job to check it.

        Gives the id of the blob that is kept: another one than ``video``'s when the same video came before.
        Raises ``not_found`` without its sacrifice, ``conflict`` when the id belongs to another video.
        """
        now = self._clock.read()

        def work(tx: Tx) -> str:
            known = one(tx, "SELECT sacrifice_id, sha256, blob_id FROM video WHERE id = ?", video.id)
            if known is not None:
                if (known["sacrifice_id"], known["sha256"]) != (str(video.sacrifice_id), video.sha256):
                    raise QurbaniError("conflict", "another video has this id")
                return str(known["blob_id"])
            state = sacrifice_state(tx, video.sacrifice_id)
            tx.table("blob").insert({"id": video.blob_id, "size": video.blob_size})
            row = {
                "sacrifice_id": str(video.sacrifice_id),
                "sha256": video.sha256,
                "size": video.size,
                "blob_id": video.blob_id,
                "media_type": video.media_type,
            }
            tx.table("video").insert({"id": str(video.id), "captured": _json(now), **row})
            patch = {**row, "blob_size": video.blob_size, "captured": msgspec.to_builtins(now)}
            self._append(tx, now, "video", video.id, patch, str(executor_id))
            self._move(tx, now, video.sacrifice_id, state, "recorded", str(executor_id))
            jobs.add(tx, VALIDATE, video.id)
            manifests.number(tx, video.id, now)
            return video.blob_id

        kept = self._db.write(work)
        _log.info("video_kept", video=str(video.id), trace=trace.of(video.sacrifice_id))
        return kept

    def record_verdict(self, lease: jobs.Lease, video_id: UUID, verdict: Verdict) -> None:
        """The outcome of a check, and the end of its job. Raises ``lost_lease`` when someone else took the job."""
        self._judge(lease, "done", None, video_id, verdict)

    def keep_copies(self, lease: jobs.Lease, video_id: UUID, copies: Sequence[Copy]) -> None:
        """What goes ahead of a video is made. Raises ``lost_lease`` when someone else took the job."""
        now, ids = self._clock.read(), [self._new_id() for _ in copies]

        def work(tx: Tx) -> None:
            jobs.end(tx, lease, "done")
            for id, copy in zip(ids, copies, strict=True):
                tx.table("blob").insert({"id": copy.blob_id, "size": copy.blob_size})
                row = {"video_id": str(video_id), "variant": copy.variant}
                tx.table("copy").insert({"blob_id": copy.blob_id, **row})
                self._append(tx, now, "copy", id, {**row, **msgspec.structs.asdict(copy)}, BOX)

        self._db.write(work)

    def keep_photo(self, photo: Photo, executor_id: UUID) -> str:
        """Gives the id of the blob that is kept, as :meth:`keep_video`. Raises ``conflict``."""

        def work(tx: Tx, now: Reading) -> tuple[str, Patch]:
            known = one(tx, "SELECT of, sha256, blob_id FROM photo WHERE id = ?", photo.id)
            if known is not None:
                if (known["of"], known["sha256"]) != (str(photo.of), photo.sha256):
                    raise QurbaniError("conflict", "another photo has this id")
                return str(known["blob_id"]), {}
            row = {name: value for name, value in msgspec.to_builtins(photo).items() if name != "id"}
            tx.table("blob").insert({"id": photo.blob_id, "size": photo.blob_size})
            kept = {name: value for name, value in row.items() if name != "blob_size"}
            tx.table("photo").insert({"id": str(photo.id), **kept})
            return photo.blob_id, row

        return self.note("photo", photo.id, str(executor_id), work)

    def note(self, entity: str, key: UUID, actor: str, work: Callable[[Tx, Reading], tuple[T, Patch]]) -> T:
        """What ``work`` writes into tables of this box, and the op of the patch that it gives beside its result.

        An empty patch says that nothing is new; then there is no op.
        """
        now = self._clock.read()

        def both(tx: Tx) -> T:
            result, patch = work(tx, now)
            if patch:
                self._append(tx, now, entity, key, patch, actor)
            return result

        return self._db.write(both)

    def record_unchecked(self, lease: jobs.Lease, video_id: UUID, verdict: Verdict, reason: str) -> None:
        """Every attempt failed: the job is parked with its ``reason``, and the tablet gets its answer all the same."""
        self._judge(lease, "parked", reason, video_id, verdict)

    def _judge(self, lease: jobs.Lease, end: str, reason: str | None, video_id: UUID, verdict: Verdict) -> None:
        now, id = self._clock.read(), self._new_id()
        body = msgspec.to_builtins(verdict)

        def work(tx: Tx) -> UUID:
            jobs.end(tx, lease, end, reason)
            if end == "done":
                jobs.add(tx, PROVE, video_id)
            video = one(tx, "SELECT sacrifice_id FROM video WHERE id = ?", video_id)
            assert video is not None, "the job was written with its video"
            row = {"video_id": str(video_id), "outcome": verdict.outcome}
            tx.table("verdict").insert({"id": str(id), "body": json.dumps(body), **row})
            self._append(tx, now, "verdict", id, {**row, "body": body}, BOX)
            text = manifests.vouch(tx, self._signer(tx), now, video_id, verdict)
            self._append(tx, now, "manifest", video_id, {"video_id": str(video_id), "text": text}, BOX)
            waiting = one(tx, """
                SELECT 1 FROM video LEFT JOIN verdict ON verdict.video_id = video.id
                WHERE video.sacrifice_id = ? AND verdict.id IS NULL""", video["sacrifice_id"])
            sacrifice_id = UUID(video["sacrifice_id"])
            if waiting is None:
                self._move(tx, now, sacrifice_id, sacrifice_state(tx, sacrifice_id), "judged", BOX)
            return sacrifice_id

        judged = trace.of(self._db.write(work))
        _log.info("video_judged", video=str(video_id), outcome=verdict.outcome, trace=judged)

    def apply_feed(
        self, changes: Sequence[Change], cursor: int, mark: bytes = b"", *, again: bool = False, more: bool = False
    ) -> None:
        """Take in a page of the site feed and move the cursor, both or neither."""
        page = Page(list(changes), cursor, more, mark, again)
        self._db.write(lambda tx: feed.apply(tx, page))

    def take_over(self, node: UUID, common: int, sign_file: str) -> None:
        """From now on this box is ``node`` and signs with the key in ``sign_file``.

        The ops after ``common`` are chained anew, as the first of ``node``; all are kept as they were, too.
        """

        def work(tx: Tx) -> None:
            if one(tx, "SELECT 1 FROM node WHERE id = ?", node):
                return
            tx.execute("INSERT INTO former_node SELECT id, sign_file, ? FROM node", [common])
            tx.execute("INSERT INTO former_op SELECT (SELECT id FROM node), op.* FROM op")
            branch = list(tx.query("SELECT * FROM op WHERE seq > ? ORDER BY seq", [common]))
            tx.execute("DELETE FROM op")
            tx.execute("UPDATE node SET id = ?, sign_file = ?", [str(node), sign_file])
            tx.execute("UPDATE link SET acked = 0, stick_seq = 0")
            for row in branch:
                patch = msgspec.msgpack.decode(row["patch"])
                self._chain(tx, row["hlc"], row["wall_ms"], row["entity"], UUID(row["key"]), patch, row["actor"])

        self._db.write(work)

    def _move(self, tx: Tx, now: Reading, id: UUID, state: str, to: str, actor: str) -> None:
        if SACRIFICE.move(state, to) != state:
            tx.table("sacrifice").update(str(id), {"state": to})
            self._append(tx, now, "sacrifice", id, {"state": to}, actor)

    def _append(self, tx: Tx, now: Reading, entity: str, key: UUID, patch: dict[str, Any], actor: str) -> None:
        head = one(tx, "SELECT hlc FROM op ORDER BY seq DESC LIMIT 1") or {"hlc": 0}
        hub_hlc = tx.execute("SELECT hub_hlc FROM link").fetchone()[0]
        self._chain(tx, hlc.tick(max(head["hlc"], hub_hlc), now.wall_ms), now.wall_ms, entity, key, patch, actor)

    def _chain(
        self, tx: Tx, stamp: int, wall_ms: int, entity: str, key: UUID, patch: dict[str, Any], actor: str
    ) -> None:
        """Chain and sign the next op. The transaction makes ``seq`` gapless; a rolled-back op never was."""
        head = one(tx, "SELECT seq, hash FROM op ORDER BY seq DESC LIMIT 1") or {"seq": 0, "hash": GENESIS}
        node = tx.execute("SELECT id FROM node").fetchone()[0]
        op = Op(UUID(node), head["seq"] + 1, stamp, entity, key, patch, actor, head["hash"])
        digest = op_hash(op)
        tx.table("op").insert({
            "seq": op.seq,
            "hlc": op.hlc,
            "entity": entity,
            "key": str(key),
            "patch": encode(patch),
            "actor": actor,
            "prev": op.prev,
            "hash": digest,
            "sig": sign_op(self._signer(tx), digest),
            "wall_ms": wall_ms,
        })

    def _signer(self, tx: Tx) -> SigningKey:
        """The key of the name that the box goes by now; another process may have taken it a moment ago."""
        return self._keys[tx.execute("SELECT sign_file FROM node").fetchone()[0]]


def sacrifice_state(tx: Tx, id: UUID) -> str:
    row = one(tx, "SELECT state FROM sacrifice WHERE id = ?", id)
    if row is None:
        raise QurbaniError("not_found", "open the sacrifice first")
    return str(row["state"])


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
