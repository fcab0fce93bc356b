"""The chain of the audit: every entry's hash covers the one before it, and signed checkpoints cover the chain.

``hash = SHA-256(prev || body)`` with ``prev`` the hash of the entry before (32 zero bytes for the first) and ``body``
the JSON array ``[seq, at, actor, role, action, subject, outcome, facts]`` with sorted keys and no spaces. A checkpoint
is ``seq``, that entry's hash and a time, signed by the hub (Ed25519). One that is kept elsewhere shows even a chain
that was written anew from end to end with all of the hub's keys.

Linking comes a moment after the commit, in one process at a time, so that requests never wait for each other to have
their place in the chain. What is changed within that moment is not shown.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform.audit import CHANNEL, Entry
from cloud.platform.database import Database
from cloud.platform.forever import heard
from cloud.platform.models import Base
from shared.clock import Clock
from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError

GENESIS = bytes(32)
PAGE = 1000
CHECKPOINT_EVERY = timedelta(minutes=5)
CHECKPOINT_ENTRIES = 1000
GATHER_S = 0.2
"""How long to wait for more after the first: a page costs about what one entry does."""
LOCK = 0x71757262_61756474  # any number; the same in every process

_body = msgspec.json.Encoder(order="deterministic")


class Checkpoint(msgspec.Struct, frozen=True, tag="checkpoint"):
    """The hub's word for the chain up to ``seq``. Keep one outside, and the chain before it cannot change unseen."""

    seq: int
    hash: bytes
    at: datetime
    sig: bytes = b""

    def message(self) -> bytes:
        return f"qurbani audit 1\n{self.seq}\n{self.hash.hex()}\n{self.at.isoformat()}\n".encode()


class Link(msgspec.Struct, frozen=True, tag="link"):
    """An entry in the chain, as it is exported: one JSON object a line."""

    seq: int
    at: datetime
    actor: UUID | None
    role: str
    action: str
    subject: str
    outcome: str
    facts: msgspec.Raw
    """The JSON as it was hashed."""
    prev: bytes
    hash: bytes

    def expected(self) -> bytes:
        """The hash that follows from what the entry says."""
        return hashlib.sha256(self.prev + _body.encode((
            self.seq, self.at, self.actor, self.role, self.action, self.subject, self.outcome, self.facts,
        ))).digest()  # fmt: skip


class Break(msgspec.Struct, frozen=True):
    """Something that is not as it was written: where, and what it looks like.

    ``edited``: an entry that does not fit its own hash. ``missing``: numbers that are gone. ``unlinked``: an entry that
    does not follow from the one before it; one of the two was put there later. ``repeated``: a number a second time.
    ``rewritten``: a checkpoint that the chain contradicts. ``cut``: the chain ends before a checkpoint.
    ``forged``: a checkpoint that the hub did not sign.
    """

    seq: int
    kind: str


class Stored(Base):
    """A checkpoint as the hub keeps it; see :class:`Checkpoint`."""

    __tablename__ = "audit_checkpoints"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes]
    at: Mapped[datetime]
    sig: Mapped[bytes]


class Chain:
    """Links new entries and signs checkpoints. Any number may run; one at a time works."""

    def __init__(self, database: Database, clock: Clock, key: SigningKey, sweep_s: float) -> None:
        self._database = database
        self._clock = clock
        self._key = key
        self._sweep_s = sweep_s

    async def live(self) -> None:
        """Link until something fails (which raises); woken by every commit with an entry, else by the sweep."""
        async with self._database.listen(CHANNEL) as rung:
            while True:
                while await self.link_page() == PAGE:
                    pass
                await heard(rung, self._sweep_s)
                await asyncio.sleep(GATHER_S)

    async def link_page(self) -> int:
        """Link the oldest entries that are not yet, at most :data:`PAGE`; how many there were."""
        async with self._database.begin() as session:
            if not await session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
                return 0
            end = (await session.execute(_end())).first()
            start, prev = (end.seq, end.hash) if end else (0, GENESIS)
            rows = await session.scalars(select(Entry).where(Entry.seq.is_(None)).order_by(Entry.id).limit(PAGE))
            linked = []
            for seq, row in enumerate(rows, start + 1):
                hash = _link(row, seq, prev).expected()
                linked.append({"row": row.id, "place": seq, "before": prev, "now": hash})
                prev = hash
            if linked:
                placed = {"seq": bindparam("place"), "prev": bindparam("before"), "hash": bindparam("now")}
                connection = await session.connection()
                table = Entry.__table__
                await connection.execute(update(table).where(table.c.id == bindparam("row")).values(placed), linked)
            last = start + len(linked)
            if last and await self._is_due(session, last):
                await self._sign(session, last, prev)
        return len(linked)

    async def _is_due(self, session: AsyncSession, seq: int) -> bool:
        last = await session.scalar(select(Stored).order_by(Stored.seq.desc()).limit(1))
        if last is None:
            return True
        waited = self._clock.now() - last.at
        return seq >= last.seq + CHECKPOINT_ENTRIES or (seq > last.seq and waited >= CHECKPOINT_EVERY)

    async def _sign(self, session: AsyncSession, seq: int, hash: bytes) -> None:
        unsigned = Checkpoint(seq, hash, self._clock.now())
        session.add(Stored(seq=seq, hash=hash, at=unsigned.at, sig=self._key.sign(unsigned.message())))


async def newest_checkpoint(session: AsyncSession) -> Checkpoint:
    """Raises ``not_found`` where nothing has been linked yet."""
    last = await session.scalar(select(Stored).order_by(Stored.seq.desc()).limit(1))
    if last is None:
        raise QurbaniError("not_found", "there is no checkpoint yet")
    return _checkpoint(last)


async def checkpoints(session: AsyncSession) -> list[Checkpoint]:
    return [_checkpoint(row) for row in await session.scalars(select(Stored).order_by(Stored.seq))]


async def links(session: AsyncSession, after: int, limit: int = PAGE) -> list[Link]:
    """The linked entries after number ``after``, in order."""
    query = select(Entry).where(Entry.seq > after).order_by(Entry.seq).limit(limit)
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [_link(row, row.seq or 0, row.prev or b"", row.hash or b"") for row in rows]


def verify(chain: Iterable[Link], given: Sequence[Checkpoint], key: VerifyKey) -> Iterator[Break]:
    """Everything that is wrong with a chain, in the order in which it lies; nothing where it is whole.

    Args:
        chain: the entries as they lie, all of them from the first.
        given: checkpoints, the hub's own and those that were kept elsewhere.
        key: the hub's.
    """
    said = {}
    for checkpoint in given:
        if _is_signed(checkpoint, key):
            said.setdefault(checkpoint.seq, set()).add(checkpoint.hash)
        else:
            yield Break(checkpoint.seq, "forged")
    seq, before = 0, GENESIS
    for link in chain:
        if link.seq <= seq:
            yield Break(link.seq, "repeated")
            continue
        if link.seq > seq + 1:
            yield from (Break(gone, "missing") for gone in range(seq + 1, link.seq))
        elif link.prev != before:
            yield Break(link.seq, "unlinked")
        if link.expected() != link.hash:
            yield Break(link.seq, "edited")
        if link.seq in said and said[link.seq] != {link.hash}:
            yield Break(link.seq, "rewritten")
        seq, before = link.seq, link.hash
    if said and max(said) > seq:
        yield Break(seq + 1, "cut")


def _is_signed(checkpoint: Checkpoint, key: VerifyKey) -> bool:
    try:
        key.verify(checkpoint.sig, checkpoint.message())
    except QurbaniError:
        return False
    return True


def _end() -> Any:
    return select(Entry.seq, Entry.hash).where(Entry.seq.is_not(None)).order_by(Entry.seq.desc()).limit(1)


def _link(row: Entry, seq: int, prev: bytes, hash: bytes = b"") -> Link:
    facts = msgspec.Raw(_body.encode(row.facts))
    at = row.at.astimezone(UTC)
    return Link(seq, at, row.actor, row.role, row.action, row.subject, row.outcome, facts, prev, hash)


def _checkpoint(row: Stored) -> Checkpoint:
    return Checkpoint(row.seq, row.hash, row.at.astimezone(UTC), row.sig)
