"""The hub in memory: ``cloud/apply``'s own routes and the services below it, on SQLite instead of PostgreSQL.

Stand-ins: SQLite takes one transaction after the other, so row locks do nothing; a session that looks asynchronous
but never waits; the tus server of :class:`commands.simulated.hub.Door`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaProducer
from litestar import Response
from sqlalchemy import BigInteger, DateTime, Engine, create_engine, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.dml import OnConflictDoNothing
from sqlalchemy.dialects.sqlite import DATETIME
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from cloud.apply import cases, routes, sealing, service
from cloud.apply import models as sync_models
from cloud.apply.admission import Admission
from cloud.apply.receipts import give_receipt
from cloud.auth import service as auth
from cloud.donors import models as donors_models
from cloud.executors import feed
from cloud.executors import models as executors_models
from cloud.executors import service as executors
from cloud.platform import database, outbox
from cloud.platform import models as platform_models
from cloud.platform.access import NODE
from cloud.platform.consumer import Consumer, Handler
from cloud.platform.outbox import Relay
from cloud.platform.settings import Settings
from cloud.processing import models as processing_models
from cloud.uploads import events as listeners
from cloud.uploads import models as uploads_models
from cloud.uploads import service as uploads
from commands.simulated.hub import KEYS, SITES, Door, first_news
from edge import sqlite
from shared.clock import Clock, to_ms
from shared.crypto import SealKey, VerifyKey
from shared.errors import QurbaniError
from shared.events import Event, VideoArrived
from sync import tokens
from sync.calls import Call, Reply
from sync.merge import Cell
from sync.messages import Change, Exchange, Exchanged
from sync.ops import Op
from sync.simulation.ports import Held
from sync.simulation.power import Power

T = TypeVar("T")
Name = tuple[str, UUID]

_MODELS = (platform_models, sync_models, donors_models, executors_models, uploads_models, processing_models)
_METADATA = [module.Base.metadata for module in _MODELS]


class _Aware(DATETIME):
    """SQLite forgets the time zone; every time of the hub is UTC."""

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        naive = super().result_processor(dialect, coltype)
        assert naive is not None
        return lambda value: None if value is None else naive(value).replace(tzinfo=UTC)


@compiles(JSONB, "sqlite")
def _json(*_: Any, **__: Any) -> str:
    return "JSON"


@compiles(BigInteger, "sqlite")
def _integer(*_: Any, **__: Any) -> str:
    return "INTEGER"  # only so does SQLite count a primary key up


# SQLAlchemy compiles an INSERT with this clause anew each time, which would take a fifth of a world's time.
OnConflictDoNothing.inherit_cache = True
OnConflictDoNothing._traverse_internals = []


class Patient:
    """As much of an ``AsyncSession`` as the services use, over one that answers at once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.info = session.info
        self.add = session.add
        self.add_all = session.add_all

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._session, name)

        async def answered(*args: Any, **options: Any) -> Any:
            return method(*args, **options)

        self.__dict__[name] = answered
        return answered

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        with self._session.begin_nested():
            yield


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing (``sleep(0)`` is nothing)."""
    try:
        while work.send(None) is None:
            pass
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("it waits for something that is not in this world")


class Broker:
    """As much of a Kafka producer as the relay uses, and what the broker has for the consumer."""

    def __init__(self) -> None:
        self.records: list[SimpleNamespace] = []

        self._next = count()

    async def send_and_wait(self, topic: str, body: bytes, key: bytes) -> SimpleNamespace:
        self.records.append(SimpleNamespace(topic=topic, value=body, key=key))
        return SimpleNamespace(topic=topic, partition=0, offset=next(self._next))


_TOPIC = "video.initial-upload"


async def _effect(session: Any, event: Event, data: VideoArrived) -> None:
    """What the event is for, and a note that this time it was done."""
    await listeners.arrived(session, event, data)
    await session.execute(text("INSERT INTO effect VALUES (:id)"), {"id": event.id.hex})


_LISTENS = {_TOPIC: Handler(_TOPIC, "uploads", _effect)}
_GROUPS = {_TOPIC: {"uploads"}}


class CloudHub(Door):
    """A :class:`sync.simulation.ports.Hub`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.power = Power()
        self._clock = clock
        self._ground = _ground()
        self._ground.reset()
        self._raw = self._ground.raw
        self._broker = Broker()
        settings = Settings(database_url="", redis_url="", kafka="")
        database = SimpleNamespace(begin=self._begin)
        self._platform = SimpleNamespace(
            keys=KEYS, settings=settings, clock=clock, new_id=_counted(), database=database)
        self._admission = Admission(settings.sync_ops_s, clock)

    def enrol(self, node: UUID, site: int, sign_key: VerifyKey, seal_key: SealKey) -> None:
        with self._uncounted() as session:
            session.add(executors_models.Node(
                id=node, site_id=SITES[site].id, name="box", sign_key=sign_key.raw, seal_key=seal_key.raw,
                enrolled=self._clock.now(),
            ))  # fmt: skip
            session.commit()

    def keys_of(self, node: UUID) -> tuple[VerifyKey, SealKey]:
        with self._uncounted() as session:
            box = at_once(executors.node(Patient(session), node))
            return VerifyKey(box.sign_key), SealKey(box.seal_key)

    def expect_trusted(self, node: UUID) -> None:
        with self._uncounted() as session:
            at_once(executors.trusted(Patient(session), node))

    def exchange(self, message: Exchange) -> Exchanged:
        with self._transaction() as session:
            return at_once(service.exchange(Patient(session), message, self._clock.now()))

    # The routes

    def route(self, call: Call) -> Reply:
        handler = _ROUTES[call.method, call.path]

        async def body() -> bytes:
            return call.body

        request = SimpleNamespace(body=body, headers={"content-length": str(len(call.body))})
        given = {
            "request": request, "platform": self._platform, "now": self._clock.now(), "admission": self._admission,
        }  # fmt: skip
        if NODE in handler.opt["roles"]:
            given["who"] = self._principal(call)
        wanted = inspect.signature(handler.fn).parameters
        if "session" in wanted:
            with self._transaction() as session:
                given["session"] = Patient(session)
                answer = at_once(handler.fn(**{name: given[name] for name in wanted}))
        else:
            answer = at_once(handler.fn(**{name: given[name] for name in wanted}))
        if isinstance(answer, Response):
            return Reply(200, {"content-type": str(answer.media_type)}, answer.content)
        return Reply(200, {"content-type": "application/json"}, msgspec.json.encode(answer))

    def who(self, call: Call) -> UUID:
        found: UUID = self._principal(call).id
        return found

    def _principal(self, call: Call) -> Any:
        """As :mod:`cloud.auth.gate` does it."""
        token = call.headers["authorization"].removeprefix("Bearer ")
        who, now_ms = auth.check_node_token(self._platform, token), to_ms(self._clock.now())
        tokens.check_possession(
            call.headers[tokens.PROOF], VerifyKey(who.key), call.method, call.path, token, now_ms=now_ms)
        return who

    def arrived(self, blob_id: str, size: int, owner: UUID) -> None:
        """As :mod:`cloud.apply.plugins` does it."""
        now = self._clock.now()
        with self._transaction() as raw:
            session = Patient(raw)
            box = at_once(executors.node(session, owner))
            at_once(uploads.blob_arrived(session, blob_id, box.site_id, size, now))
            at_once(give_receipt(session, KEYS, box.site_id, blob_id, size, now))

    def _uncounted(self) -> Session:
        """A transaction that no power cut is counted in."""
        return Session(self._ground.engine, expire_on_commit=False, info={database.KEYS: KEYS})

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """As the application does it: committed when the route has returned, before its answer leaves."""
        with self._uncounted() as session:
            yield session
            session.flush()
            self.power.before_commit()
            session.commit()
            self.power.after_commit()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Patient]:
        with self._transaction() as session:
            yield Patient(session)

    # People

    def tell(self, site: int, entity: str, n: int, fields: dict[str, Any] | None) -> None:
        key = UUID(int=0xF << 96 | site << 64 | n)
        with self._transaction() as session:
            about = key if entity in feed.PERSONAL else None
            at_once(feed.tell(Patient(session), SITES[site].id, [(entity, key, fields)], about=about))

    def redrive(self) -> None:
        with self._transaction() as session:
            at_once(service.retry_parked(Patient(session), self._clock.now()))

    def shut_out(self, node: UUID) -> None:
        with self._transaction() as session, suppress(QurbaniError):  # it may not know the box, or not any more
            at_once(executors.revoke(Patient(session), node, self._clock.now()))

    def trust(self, node: UUID) -> None:
        with self._transaction() as session, suppress(QurbaniError):
            at_once(executors.reinstate(Patient(session), node))

    def shut(self) -> set[UUID]:
        return {UUID(id) for (id,) in self._raw.execute("SELECT id FROM nodes WHERE revoked IS NOT NULL")}

    # Events

    def relay(self) -> None:
        relay = Relay(self._platform.database, self._platform.settings, self._clock, _GROUPS)
        asyncio.run(relay.send_page(cast(AIOKafkaProducer, self._broker)))

    def consume(self) -> int:
        consumer = Consumer("uploads", _LISTENS, self._platform.database, self._platform.settings)
        before, taken = self._effects(), 0
        while self._broker.records:
            at_once(consumer._apply(cast(Any, self._broker.records[:1])))
            del self._broker.records[0]
            taken += 1
        return before + taken - self._effects()

    def _effects(self) -> int:
        return int(self._raw.execute("SELECT count(*) FROM effect").fetchone()[0])

    def wipe(self) -> None:
        self._broker.records.clear()

    def reopen(self) -> None:
        with self._transaction() as session:
            at_once(outbox.reopen(Patient(session), _GROUPS))

    def events(self) -> Mapping[UUID, int]:
        rows = self._raw.execute(
            "SELECT event_id, (SELECT count(*) FROM effect WHERE effect.event_id = outbox.event_id) FROM outbox")
        return {UUID(event): count for event, count in rows}

    # What it holds

    def acked(self, node: UUID) -> int:
        found = self._raw.execute("SELECT acked FROM chains WHERE node = ?", [node.hex]).fetchone()
        return found[0] if found else 0

    def ops(self) -> Sequence[Held]:
        rows = self._raw.execute(
            "SELECT node, seq, hlc, entity, key, patch, actor, prev, hash, stamp, parked_code, parked_detail FROM ops "
            "ORDER BY node, seq")
        found = []
        with self._uncounted() as session:
            for node, seq, hlc, entity, key, patch, actor, prev, digest, stamp, code, detail in rows:
                row = SimpleNamespace(node=UUID(node), seq=seq, entity=entity, key=UUID(key), patch=patch)
                keys = at_once(sealing.keys_for(Patient(session), [(entity, row.key)]))
                op = Op(row.node, seq, hlc, entity, row.key, cases.patch(keys, row), actor, prev)
                found.append(Held(op, digest, stamp, code and f"{code}: {detail}"))
        return found

    def records(self) -> Mapping[Name, Mapping[str, Cell]]:
        rows = self._raw.execute("SELECT entity, key, cells FROM records")
        found = {}
        with self._uncounted() as session:
            for entity, key, cells in rows:
                row = SimpleNamespace(entity=entity, key=UUID(key), cells=cells)
                keys = at_once(sealing.keys_for(Patient(session), [(entity, row.key)]))
                found[entity, row.key] = cases.cells(keys, row)
        return found

    def conflicts(self) -> set[tuple[str, UUID, str]]:
        rows = self._raw.execute("SELECT entity, key, field FROM conflicts")
        return {(entity, UUID(key), field) for entity, key, field in rows}

    def feed(self, site: int) -> Sequence[Change]:
        with self._uncounted() as session:
            return at_once(feed.told(Patient(session), SITES[site].id))

    def blobs(self) -> set[str]:
        return {id for (id,) in self._raw.execute("SELECT id FROM blobs WHERE arrived IS NOT NULL")}

    def divergences(self) -> int:
        return int(self._raw.execute("SELECT count(*) FROM divergences").fetchone()[0])

    def save(self) -> Any:
        return self._ground.copy(), dict(self.uploads), dict(self.lengths)

    def restore(self, image: Any, *, files: bool) -> None:
        database, uploads, lengths = image
        database.backup(self._raw)
        if files:
            self.uploads, self.lengths = dict(uploads), dict(lengths)

    def close(self) -> None:
        pass


class _Ground:
    """One connection and engine for all worlds of this process, one after the other."""

    raw: Any
    engine: Engine

    def __init__(self) -> None:
        self.raw = _connect()
        engine = create_engine("sqlite://", creator=lambda: self.raw, poolclass=StaticPool, module=sqlite.library())
        engine.dialect.colspecs = {**engine.dialect.colspecs, DateTime: _Aware}
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        self.engine = engine.execution_options(schema_translate_map={each.schema: None for each in _METADATA})
        for metadata in _METADATA:
            metadata.create_all(self.engine)
        self.raw.execute("CREATE TABLE effect (event_id TEXT)")
        self._sites()
        self._blank = self.copy()

    def reset(self) -> None:
        self._blank.backup(self.raw)

    def copy(self) -> Any:
        image = _connect()
        self.raw.backup(image)
        return image

    def _sites(self) -> None:
        long_ago = datetime(2026, 1, 1, tzinfo=UTC)
        with Session(self.engine) as session, session.begin():
            for number, site in enumerate(SITES):
                session.add(executors_models.Site(
                    id=site.id, name=f"site {number}", timezone="UTC", languages=["ar"], eid_days=4,
                    created=long_ago))
                session.flush()
                session.add(executors_models.FeedHead(site_id=site.id, cursor=0))
                for tag, animal in enumerate(site.animals):
                    session.add(executors_models.Animal(
                        id=animal, site_id=site.id, tag=str(tag), species="sheep", pen="1", capacity=1))
                session.flush()
                at_once(feed.tell(Patient(session), site.id, first_news(number)))


_grounds: list[_Ground] = []


def _ground() -> _Ground:
    if not _grounds:
        _grounds.append(_Ground())
    return _grounds[0]


def _connect() -> Any:
    connection = sqlite.library().connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA page_size = 1024")
    connection.create_function("pg_notify", 2, lambda channel, payload: None)
    connection.create_function("pg_advisory_xact_lock_shared", 1, lambda lock: None)
    connection.create_function("pg_try_advisory_xact_lock", 1, lambda lock: 1)
    return connection


def _counted() -> Any:
    numbers = iter(range(1, 1 << 32))
    return lambda: UUID(int=0xC << 96 | next(numbers))


_ROUTES = {(method, path): handler for handler in routes.ROUTES for path in handler.paths
           for method in handler.http_methods}
