"""For how long the list of people and their PINs is believed without a word of the hub.

Whoever was removed at the hub is removed here when the hub is heard, over whatever road. Where it is not heard, nobody
knows; so after a while one PIN alone opens no new session: somebody else of the list has to vouch, with theirs.
Nothing else changes, as recording must not stop; who is signed in stays so until the session ends.

The age is the time that the box has seen pass: by its monotonic clock while it runs, and by its wall clock over a
restart, as far as that can be believed. Setting the clock back does not make the list younger.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from edge.db import Database, Tx, one
from edge.tls import believable
from shared.clock import Clock, Reading, from_ms, to_ms

LEASE = timedelta(hours=72)


class PeopleStatus(msgspec.Struct, frozen=True):
    """How old the list of people is (None: the hub has never been heard), and from which age on it is not believed."""

    age_s: float | None
    lease_s: float
    is_old: bool


class People:
    """Tells how old the list is, and remembers what it has seen of time."""

    def __init__(self, db: Database, clock: Clock, lease: timedelta = LEASE) -> None:
        self._db = db
        self._clock = clock
        self._lease_ms = lease // timedelta(milliseconds=1)

    def is_old(self) -> bool:
        """Whether the lease has ended."""
        return self.status().is_old

    def status(self) -> PeopleStatus:
        age = self._db.read(lambda tx: _age_ms(_row(tx), self._clock.read()))
        return PeopleStatus(None if age is None else age / 1000, self._lease_ms / 1000, (age or 0) >= self._lease_ms)

    def look(self) -> None:
        """Write down how much time has passed; to be called now and then, as a restart forgets the monotonic clock."""
        now = self._clock.read()

        def work(tx: Tx) -> None:
            if (age := _age_ms(_row(tx), now)) is not None:
                _keep(tx, now, age)

        self._db.write(work)


def vouch(tx: Tx, now: Reading, told_ms: int, *, by_hand: bool = False) -> None:
    """The hub has spoken at ``told_ms`` by its clock: the list is as new as that, and never older than it was.

    What came ``by_hand`` was under way: so long ago as the clock of the box says, if it can be believed.
    """
    row = _row(tx)
    if told_ms <= row["told_ms"]:
        return
    told, since = from_ms(told_ms), 0
    if by_hand:
        since = to_ms(believable(from_ms(now.wall_ms), told)) - told_ms
    tx.execute("UPDATE people SET told_ms = ?", [told_ms])
    _keep(tx, now, min(since, age) if (age := _age_ms(row, now)) is not None else since)


def _row(tx: Tx) -> dict[str, Any]:
    row = one(tx, "SELECT * FROM people")
    assert row is not None, "it always has one"
    return row


def _age_ms(row: dict[str, Any], now: Reading) -> int | None:
    if not row["told_ms"]:
        return None
    if now.boot == row["boot"]:
        return int(row["age_ms"] + max(0, now.mono_ms - row["mono_ms"]))
    seen = from_ms(row["wall_ms"])
    return int(row["age_ms"]) + to_ms(believable(from_ms(now.wall_ms), seen)) - int(row["wall_ms"])


def _keep(tx: Tx, now: Reading, age_ms: int) -> None:
    row = [age_ms, now.wall_ms, now.mono_ms, now.boot]
    tx.execute("UPDATE people SET age_ms = ?, wall_ms = ?, mono_ms = ?, boot = ?", row)
