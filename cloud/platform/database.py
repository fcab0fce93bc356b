"""PostgreSQL: one engine per process, one transaction per unit of work, one schema per service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg.exceptions import CannotConnectNowError, TooManyConnectionsError
from sqlalchemy import DateTime, LargeBinary, MetaData, Uuid, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from cloud.platform.generations import WRITTEN, WatchedSession
from cloud.platform.keys import Keys
from shared.errors import QurbaniError

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLSTATE classes and codes after which the same transaction may well succeed: connection lost (08), server
# shutting down (57P), out of resources (53), serialization failure, deadlock, lock not available.
_TRANSIENT = ("08", "53", "57P", "40001", "40P01", "55P03")

# Why there is no connection: nobody listens, none became free, the server is starting, stopping or full.
_UNREACHABLE = (OSError, PoolTimeout, CannotConnectNowError, TooManyConnectionsError)

# A value that no column can hold, such as a text with U+0000 in it: data exceptions.
_UNFIT = "22"

BELLS = "bells"
"""The key of ``session.info`` that collects the queues to ring once the transaction has committed."""

KEYS = "keys"
"""The key of ``session.info`` under which the hub's keys are, for what seals and opens rows."""

Ring = Callable[[Iterable[str]], Awaitable[None]]


def schema(name: str) -> MetaData:
    """The tables of one service, in its own PostgreSQL schema."""
    return MetaData(schema=name, naming_convention=NAMING)


class Base(DeclarativeBase):
    """What the models of every service derive from.

    A service declares ``class Base(database.Base): __abstract__ = True; metadata = schema("name")`` once and
    derives its models from that.
    """

    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it from the class)
        UUID: Uuid(),
        bytes: LargeBinary(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[str]: JSONB(),
    }


async def _silence(queues: Iterable[str]) -> None:
    """The bell of a program that runs no jobs; the workers' sweep finds them."""


class Database:
    """The engine and its transactions. Opens no connection until the first transaction begins."""

    def __init__(
        self, url: str, *, keys: Keys | None = None, ring: Ring = _silence, written: Ring = _silence,
        pool_size: int = 10,
    ) -> None:
        """``keys`` seal and open what is personal; without, everything else can be read."""
        self.engine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=pool_size,
            hide_parameters=True,  # what people wrote does not belong into the text of an error
            connect_args={"timeout": 5, "server_settings": {"application_name": "qurbani"}},
        )
        event.listen(self.engine.sync_engine, "handle_error", _translate)
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        self._looking = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._sessions = async_sessionmaker(
            self.engine, expire_on_commit=False, info={KEYS: keys}, sync_session_class=WatchedSession)  # fmt: skip
        self._ring, self._written = ring, written

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        Raises ``unavailable`` where the server cannot be reached or asks to try again. After a commit the bells
        of newly enqueued jobs are rung, and new generations begin of what was written to.
        """
        async with self._sessions() as session:
            await _connect(session)
            yield session
            await session.commit()
        if names := session.info.pop(WRITTEN, None):
            await self._written(names)
        if queues := session.info.pop(BELLS, None):
            await self._ring(queues)

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncSession]:
        """Only for reading, each statement by itself, which saves the round trips of a transaction around them.

        Raises ``unavailable`` as :meth:`begin` does.
        """
        async with self._sessions(bind=self._looking, autoflush=False) as session:
            await _connect(session)
            yield session

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set at every NOTIFY on ``channel``, and when the connection is lost."""
        heard = asyncio.Event()
        connection = self.engine.connect()
        try:
            await connection.start()
        except _UNREACHABLE as error:
            raise QurbaniError("unavailable", "the database cannot be reached") from error
        try:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.add_listener(channel, lambda *_: heard.set())
            raw.add_termination_listener(lambda *_: heard.set())
            yield heard
        finally:
            # It must not go back to the pool with a listener on it.
            await connection.invalidate()
            await connection.close()

    async def close(self) -> None:
        await self.engine.dispose()


async def _connect(session: AsyncSession) -> None:
    try:
        await session.connection()
    except _UNREACHABLE as error:
        raise QurbaniError("unavailable", "the database cannot be reached") from error


def _refuse_closed(connection: Any, *_: object) -> None:
    """Have the pool make a new connection where the server has ended this one, as when it was started again.

    The driver has heard of it by then, so this costs no round trip, as a ping at every loan would.
    """
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _translate(context: ExceptionContext) -> None:
    """Raise transient trouble as ``unavailable`` and a value that does not fit as ``bad_input``, where it happens.

    Not further out: who has a session by dependency injection must see one exception pass, not two.
    """
    cause = context.original_exception
    if context.is_pre_ping or not isinstance(cause, Exception):
        return  # a ping that fails only costs a new connection; a cancellation must stay one
    state = getattr(cause, "sqlstate", None) or ""
    if context.is_disconnect or state.startswith(_TRANSIENT):
        raise QurbaniError("unavailable", f"the database asks to try again ({state or 'connection lost'})") from cause
    if state.startswith(_UNFIT):
        raise QurbaniError("bad_input", "a text or number that cannot be stored") from cause
