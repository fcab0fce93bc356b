"""Personal data at rest: sealed row by row (AES-256-GCM, random 96-bit nonces) with a key of each person's own.

That key is 32 random bytes, wrapped by the master key (:mod:`cloud.platform.masters`). What is sealed opens only in
its place: table, row and person are part of it. Who is erased loses the key, and with it whatever was sealed for them,
also in every copy of the database that is older than the next rotation of the master key.

A model with personal data derives from :class:`Personal`, and has no other column for them. What speaks of several
people, such as a verdict, has a key of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ForeignKey, Index, Text, event, func, inspect, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, QueryContext, declared_attr, mapped_column, relationship

from cloud.platform import database
from cloud.platform.keys import Keys
from cloud.platform.masters import NONCE_SIZE
from cloud.platform.models import Base
from shared.errors import QurbaniError

T = TypeVar("T")

FORMAT = b"\1"
"""The first byte of what is sealed."""

LOCK = 0x71757262_6B657973  # any number: held shared by whoever wraps a key, until that is committed


class DataKey(Base):
    """The key of the data of one person, or of one thing that speaks of several. Destroyed: nothing is wrapped."""

    __tablename__ = "data_keys"
    __table_args__ = (Index("ix_data_keys_master", "master", "subject"),)

    subject: Mapped[UUID] = mapped_column(primary_key=True)
    master: Mapped[str | None] = mapped_column(Text)
    wrapped: Mapped[bytes | None]
    destroyed: Mapped[datetime | None]

    def seal(self, place: bytes, value: Any) -> bytes:
        """``value`` for this place alone. Raises ``erased`` where the key was destroyed."""
        if self.wrapped is None:
            raise QurbaniError("erased", subject=str(self.subject))
        return seal(self.unwrapped(), self.subject, place, value)

    def seal_if_kept(self, place: bytes, value: Any) -> bytes:
        """As :meth:`seal`, for what comes late: where the key was destroyed, nothing."""
        return b"" if self.wrapped is None else self.seal(place, value)

    def open(self, place: bytes, sealed: bytes, kind: type[T], erased: Callable[[], T] | None = None) -> T:
        """What was sealed for this place. Where the key was destroyed, ``erased()``, or an empty ``kind()``.

        Raises ``damaged`` for what was altered, or belongs to another place or person.
        """
        if self.wrapped is None:
            return (erased or kind)()
        return opened(self.unwrapped(), self.subject, place, sealed, kind)

    def unwrapped(self) -> bytes:
        """The key itself, which nobody keeps."""
        keys: Keys = self._keys
        return keys.masters.unwrap(self.subject, self.master or "", self.wrapped or b"")


@event.listens_for(DataKey, "load")
def _hand_over(key: DataKey, context: QueryContext) -> None:
    key._keys = context.session.info[database.KEYS]


def seal(key: bytes, subject: UUID, place: bytes, value: Any) -> bytes:
    """``value`` under the unwrapped ``key`` of ``subject``: format, nonce, ciphertext with its tag."""
    nonce = os.urandom(NONCE_SIZE)
    return FORMAT + nonce + AESGCM(key).encrypt(nonce, msgspec.msgpack.encode(value), _bound(subject, place))


def opened(key: bytes, subject: UUID, place: bytes, sealed: bytes, kind: type[T]) -> T:
    """What :func:`seal` sealed under the unwrapped ``key``. Raises ``damaged``."""
    nonce, rest = sealed[1 : 1 + NONCE_SIZE], sealed[1 + NONCE_SIZE :]
    try:
        clear = AESGCM(key).decrypt(nonce, rest, _bound(subject, place))
    except (InvalidTag, ValueError) as error:
        raise QurbaniError("damaged", f"what is sealed in {place.decode()} was not sealed there") from error
    return msgspec.msgpack.decode(clear, type=kind)


def _bound(subject: UUID, place: bytes) -> bytes:
    return FORMAT + subject.bytes + place


class Personal:
    """A row with personal data: a struct of the class's ``kind``, of which every field has an empty default.

    Give a new row its primary key and its ``key`` (:func:`key_of`) before its ``person``. To change the data, replace
    all of it: ``row.person = msgspec.structs.replace(row.person, name=...)``.
    """

    kind: ClassVar[type[msgspec.Struct]]

    sealed: Mapped[bytes]

    @declared_attr
    def subject(cls) -> Mapped[UUID]:
        return mapped_column(ForeignKey(DataKey.subject), index=True)

    @declared_attr
    def key(cls) -> Mapped[DataKey]:
        # In a query of its own: a row that is locked must not lock the key of all of a person's rows.
        return relationship(DataKey, lazy="selectin")

    @property
    def person(self) -> Any:
        return self.key.open(self._place(), self.sealed, self.kind)

    @person.setter
    def person(self, value: msgspec.Struct) -> None:
        self.sealed = self.key.seal(self._place(), value)

    def _place(self) -> bytes:
        row = inspect(type(self)).primary_key_from_instance(self)
        assert None not in row, "a row is sealed for its place, so it needs its key first"
        return place(type(self), *row)


def place(table: type[database.Base], *row: object) -> bytes:
    """Where something is sealed: the table and the row's primary key."""
    return "/".join([table.__table__.fullname, *map(str, row)]).encode()  # type: ignore[attr-defined]


async def key_of(session: AsyncSession, subject: UUID) -> DataKey:
    """The key of ``subject``, made where there is none."""
    return (await keys_of(session, [subject]))[subject]


async def keys_of(session: AsyncSession, subjects: Collection[UUID]) -> dict[UUID, DataKey]:
    """The keys of ``subjects``, made where there are none."""
    found = await held_keys(session, subjects)
    if missing := sorted(set(subjects) - found.keys()):
        # A rotation that waits for the lock will see what is wrapped here, or be seen.
        await session.execute(select(func.pg_advisory_xact_lock_shared(LOCK)))
        masters = session.info[database.KEYS].masters
        wrapped = [(subject, *masters.wrap(subject, os.urandom(32))) for subject in missing]
        rows = [dict(zip(("subject", "master", "wrapped"), row, strict=True)) for row in wrapped]
        await session.execute(insert(DataKey).on_conflict_do_nothing(), rows)
        found |= await held_keys(session, missing)
    return found


async def held_keys(session: AsyncSession, subjects: Collection[UUID]) -> dict[UUID, DataKey]:
    """The keys of those of ``subjects`` that have one, destroyed or not."""
    query = select(DataKey).where(DataKey.subject.in_(subjects))
    return {key.subject: key for key in await session.scalars(query)}


async def destroy(session: AsyncSession, subjects: Collection[UUID], now: datetime) -> None:
    """Make everything unreadable that was sealed for ``subjects``, for ever. Repeating it changes nothing."""
    query = select(DataKey).where(DataKey.subject.in_(subjects), DataKey.destroyed.is_(None)).with_for_update()
    for key in await session.scalars(query.execution_options(populate_existing=True)):
        key.master, key.wrapped, key.destroyed = None, None, now
    await session.flush()


def blind(session: AsyncSession, purpose: str, text: str) -> bytes:
    """What ``text`` is looked up by; see :meth:`cloud.platform.keys.Keys.blind`."""
    keys: Keys = session.info[database.KEYS]
    return keys.blind(purpose, text)
