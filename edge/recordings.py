"""What the box's own cameras were told to record: a row each, so that neither a crash nor a deaf bell loses the wish.

``asked`` until the first of it is on the disk, ``running`` until it has been told to end, or ends by itself,
then ``kept``, as a video of the same id; ``empty`` when the camera showed nothing all the while.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import msgspec

from edge import claims
from edge.db import Database, Tx, one
from shared.clock import Clock
from shared.errors import QurbaniError

State = Literal["asked", "running", "kept", "empty"]

_OPEN = "state IN ('asked', 'running')"


class Recording(msgspec.Struct, frozen=True):
    """One of them. ``asked_ms``, ``stop_ms`` and ``origin_us`` are of the monotonic clock of ``boot``."""

    id: UUID
    sacrifice_id: UUID
    executor_id: UUID
    camera: str
    boot: str
    asked_ms: int
    stop_ms: int | None
    origin_us: int | None
    state: State

    @property
    def is_over(self) -> bool:
        return self.state in ("kept", "empty")


class Recordings:
    """Those of one yard."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def ask(self, id: UUID, sacrifice_id: UUID, camera: str, executor_id: UUID, claim: int | None) -> Recording:
        """Have a sacrifice recorded from now on. Safe to repeat.

        Raises ``not_found`` without its sacrifice, ``claimed`` or ``claim_lost`` behind the fence, ``camera_busy``, or
        ``conflict`` when the id belongs to another video.
        """
        now = self._clock.read()

        def work(tx: Tx) -> Recording:
            if known := _row(tx, "id = ?", id):
                if (known.sacrifice_id, known.camera) != (sacrifice_id, camera):
                    raise QurbaniError("conflict", "another recording has this id")
                return known
            sacrifice = one(tx, "SELECT animal_id FROM sacrifice WHERE id = ?", sacrifice_id)
            if sacrifice is None:
                raise QurbaniError("not_found", "open the sacrifice first")
            if one(tx, "SELECT 1 FROM video WHERE id = ?", id):
                raise QurbaniError("conflict", "another video has this id")
            claims.check(tx, now, UUID(sacrifice["animal_id"]), executor_id, claim)
            if busy := _row(tx, f"camera = ? AND {_OPEN} AND stop_ms IS NULL", camera):
                raise QurbaniError("camera_busy", recording_id=str(busy.id), sacrifice_id=str(busy.sacrifice_id))
            asked = Recording(id, sacrifice_id, executor_id, camera, now.boot, now.mono_ms, None, None, "asked")
            tx.table("recording").insert(msgspec.to_builtins(asked))
            return asked

        return self._db.write(work)

    def stop(self, id: UUID, executor_id: UUID, claim: int | None = None) -> Recording:
        """Have it end now. Safe to repeat. For whoever asked for it, or has the animal now; ``not_found``."""
        now = self._clock.read()

        def work(tx: Tx) -> Recording:
            found = _row(tx, "id = ?", id)
            if found is None:
                raise QurbaniError("not_found", "no such recording")
            if found.executor_id != executor_id:
                sacrifice = one(tx, "SELECT animal_id FROM sacrifice WHERE id = ?", found.sacrifice_id)
                assert sacrifice is not None, "a recording is of a sacrifice"
                claims.check(tx, now, UUID(sacrifice["animal_id"]), executor_id, claim)
            if found.stop_ms is None and not found.is_over:
                tx.table("recording").update(str(id), {"stop_ms": now.mono_ms})
            return _sure(tx, id)

        return self._db.write(work)

    def find(self, id: UUID) -> Recording:
        """Raises ``not_found``."""
        return self._db.read(lambda tx: _sure(tx, id))

    def current(self, sacrifice_id: UUID) -> Recording | None:
        """The one of a sacrifice that is under way, or the last there was."""
        return self._db.read(lambda tx: _row(
            tx, "sacrifice_id = ? ORDER BY stop_ms IS NULL DESC, rowid DESC", sacrifice_id))  # fmt: skip

    def seconds(self, recording: Recording) -> int:
        """How long ago it was asked for."""
        return max(0, self._clock.read().mono_ms - recording.asked_ms) // 1000

    def unfinished(self) -> list[Recording]:
        """Those of which nobody has written down yet what came of them."""
        return msgspec.convert(self._db.rows(f"SELECT * FROM recording WHERE {_OPEN}"), list[Recording])  # noqa: S608

    def runs(self, id: UUID, origin_us: int) -> None:
        """The first of it is on the disk; the film begins at ``origin_us``."""
        change = {"state": "running", "origin_us": origin_us}
        self._db.write(lambda tx: tx.table("recording").update(str(id), change))

    def ends(self, id: UUID, state: Literal["kept", "empty"]) -> None:
        self._db.write(lambda tx: tx.table("recording").update(str(id), {"state": state}))

    def tell_of(self, camera: str) -> None:
        """Let tablets know that something has changed about a camera."""
        self._db.write(lambda tx: tx.table("event").insert({"entity": "camera", "key": camera}))

    def split(self, of: Recording, id: UUID) -> None:
        """What comes from now on goes into a recording of its own: it does not fit into the same film."""
        now = self._clock.read()
        rest = msgspec.structs.replace(of, id=id, state="asked", asked_ms=now.mono_ms, origin_us=None)

        def work(tx: Tx) -> None:
            tx.table("recording").update(str(of.id), {"stop_ms": now.mono_ms})
            tx.table("recording").insert(msgspec.to_builtins(rest))

        self._db.write(work)


def _row(tx: Tx, where: str, *given: Any) -> Recording | None:
    found = one(tx, f"SELECT * FROM recording WHERE {where} LIMIT 1", *given)  # noqa: S608 - where is a constant
    return msgspec.convert(found, Recording) if found else None


def _sure(tx: Tx, id: UUID) -> Recording:
    found = _row(tx, "id = ?", id)
    if found is None:
        raise QurbaniError("not_found", "no such recording")
    return found
