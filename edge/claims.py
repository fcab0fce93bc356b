"""Which tablet stands before which animal, so that no two of them sacrifice the same one.

A claim is a lease: whoever holds it renews it, and a tablet that vanishes lets it run out. Its token is a fence:
every new holder gets a higher one, and a sacrifice is opened under the highest only, in the transaction that looks.
Ends are told by the monotonic clock; after a restart of the machine every claim has ended.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from edge import eligible
from edge.db import Database, Tx, one
from shared.clock import Clock, Reading
from shared.errors import QurbaniError


class Claim(msgspec.Struct, frozen=True):
    """Show ``token`` when the sacrifice is opened; renew within ``seconds``."""

    token: int
    seconds: float


class Claims:
    """Claims of ``seconds`` each."""

    def __init__(self, db: Database, clock: Clock, seconds: float) -> None:
        self._db = db
        self._clock = clock
        self._seconds = seconds

    def take(self, animal_id: UUID, executor_id: UUID, tablet: str) -> Claim:
        """Take an animal, or renew. Raises ``not_found``, ``ineligible``, or ``claimed`` with who has it."""
        now = self._clock.read()
        until = {"boot": now.boot, "until_ms": now.mono_ms + int(self._seconds * 1000)}
        holder = {"executor_id": str(executor_id), "tablet": tablet}

        def work(tx: Tx) -> int:
            eligible.make_sure(tx, animal_id)
            known = _row(tx, animal_id)
            is_ours = known is not None and all(known[name] == value for name, value in holder.items())
            if known and not is_ours and _is_live(known, now):
                raise _claimed(tx, known, now)
            token = known["token"] + (not is_ours) if known else 1
            row = {"animal_id": str(animal_id), **holder, **until, "token": token}
            tx.table("claim").upsert(row, pk="animal_id")
            return int(token)

        return Claim(self._db.write(work), self._seconds)

    def holders(self) -> dict[UUID, UUID]:
        """The animals that are claimed now, and the executors who have them."""
        now = self._clock.read()
        rows = self._db.rows(
            "SELECT animal_id, executor_id FROM claim WHERE boot = ? AND until_ms > ?", now.boot, now.mono_ms)
        return {UUID(row["animal_id"]): UUID(row["executor_id"]) for row in rows}

    def release(self, animal_id: UUID, token: int) -> None:
        """Leave an animal; a claim that somebody else has taken over meanwhile stays theirs."""
        self._db.write(lambda tx: tx.execute(
            "UPDATE claim SET until_ms = 0 WHERE animal_id = ? AND token = ?", [str(animal_id), token]))  # fmt: skip


def check(tx: Tx, now: Reading, animal_id: UUID, executor_id: UUID, token: int | None) -> None:
    """Return when this executor may open the sacrifice. Raises ``claim_lost`` behind the fence.

    Without a token, as programs ask, nobody else may have a live claim: ``claimed``.
    """
    row = _row(tx, animal_id)
    if token is not None and (row is None or row["token"] != token):
        raise QurbaniError("claim_lost")
    if token is None and row and row["executor_id"] != str(executor_id) and _is_live(row, now):
        raise _claimed(tx, row, now)


def _row(tx: Tx, animal_id: UUID) -> dict[str, Any] | None:
    return one(tx, "SELECT * FROM claim WHERE animal_id = ?", animal_id)


def _is_live(row: dict[str, Any], now: Reading) -> bool:
    return row["boot"] == now.boot and row["until_ms"] > now.mono_ms


def _claimed(tx: Tx, row: dict[str, Any], now: Reading) -> QurbaniError:
    by = (one(tx, "SELECT name FROM executor WHERE id = ?", row["executor_id"]) or {}).get("name") or ""
    wait_s = max(0.0, (row["until_ms"] - now.mono_ms) / 1000)
    return QurbaniError("claimed", f"{by or 'somebody else'} is with this animal", by=by, retry_after=wait_s)
