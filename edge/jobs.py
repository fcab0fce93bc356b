"""The ledger of work: a job is a row, written in the transaction of the record that it is about.

Taking a job moves its due date into the future (the lease) and gives it a token that only the taker knows.
Whoever dies lets the lease run out; whoever comes back too late finds another token and changes nothing.
Dates are monotonic, so a wall clock that jumps neither frees a lease nor holds one.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from edge.db import Tx
from shared.clock import Reading
from shared.errors import QurbaniError

MAX_ATTEMPTS = 5
LEASE_MS = 15 * 60_000
"""Longer than the check of any video; a worker that starts frees what its predecessor held."""

RETRY_MS = 5_000
"""Before the second attempt; doubled before each further one."""


class Lease(msgspec.Struct, frozen=True):
    """A job that was taken. ``attempt`` counts from 1, also those that ended with a killed worker."""

    job: int
    kind: str
    key: UUID
    attempt: int
    token: str


def add(tx: Tx, kind: str, key: UUID) -> None:
    """A job about a record; a second one of the same kind is the same job."""
    tx.table("job").insert({"kind": kind, "key": str(key)}, ignore=True)


def due(tx: Tx, now: Reading) -> int:
    """How many jobs could be taken at once."""
    return int(tx.table("job").count_where(_DUE, [now.boot, now.mono_ms]))


def take(tx: Tx, now: Reading, token: UUID) -> Lease | None:
    """The oldest job that is due, now leased, or None. ``token`` must be new."""
    for job in tx.table("job").rows_where(_DUE, [now.boot, now.mono_ms], order_by="id", limit=1):
        lease = Lease(job["id"], job["kind"], UUID(job["key"]), job["attempts"] + 1, str(token))
        until = {"boot": now.boot, "due_ms": now.mono_ms + LEASE_MS}
        tx.table("job").update(lease.job, {"attempts": lease.attempt, "token": lease.token, **until})
        return lease
    return None


def end(tx: Tx, lease: Lease, state: str, reason: str | None = None) -> None:
    """The job is ``done``, or ``parked`` with its reason. Raises ``lost_lease`` when it is not ours any more."""
    _update(tx, lease, {"state": state, "reason": reason})


def retry(tx: Tx, lease: Lease, now: Reading, reason: str) -> None:
    """Try again later. Raises ``lost_lease`` when the job is not ours any more."""
    due_ms = now.mono_ms + RETRY_MS * 2 ** (lease.attempt - 1)
    _update(tx, lease, {"boot": now.boot, "due_ms": due_ms, "reason": reason})


def free(tx: Tx) -> None:
    """End every lease. Only for the one worker of a box, when it starts: whoever held them is dead."""
    tx.execute("UPDATE job SET due_ms = 0, token = NULL WHERE state = 'open'")


_DUE = "state = 'open' AND (boot <> ? OR due_ms <= ?)"


def _update(tx: Tx, lease: Lease, change: dict[str, object]) -> None:
    if not tx.table("job").count_where("id = ? AND token = ? AND state = 'open'", [lease.job, lease.token]):
        raise QurbaniError("lost_lease", f"job {lease.job} was taken by someone else")
    tx.table("job").update(lease.job, change)
