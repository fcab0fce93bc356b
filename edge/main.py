"""Wires the box together. Each process of it is one function here; :func:`serve` runs them all.

What only one process needs is imported there: a web framework or a media library that lies about unused costs
every other process tens of megabytes, on boxes that have few.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec
import structlog

from edge import address, bus, jobs, practice, sqlite, status, supervisor, tls, unlock
from edge import node as identity
from edge.arrival import Arrival
from edge.blobs import Blobs
from edge.bus import CLAIM, FEED, JOB, OP, RECORD, Bell, Ear
from edge.capture import Capture
from edge.db import Database
from edge.disk import Ballast, Disk
from edge.node import Keys, Node
from edge.recorder import address as cameras
from edge.recordings import Recordings
from edge.replicator import recipient
from edge.settings import Settings
from edge.site import Site
from edge.supervisor import Program, Supervisor
from edge.vault import Vault
from shared.clock import Clock, SystemClock, from_ms
from shared.crypto import VerifyKey
from shared.errors import QurbaniError
from shared.ids import new_id

if TYPE_CHECKING:
    from edge.update import Manifest

GRACE_S = 3
"""How long the API waits for answers under way when it is told to stop; an upload goes on after the restart."""

CLOCK_UNSURE = timedelta(days=1)
"""How far off the clock of a box is taken to be that was not compared with the hub's since it started."""

POLITE = 10
"""The priority of the checks, as of nice(1): recording and uploads go before them."""


class Box(msgspec.Struct, frozen=True):
    """What every process of an enrolled box needs."""

    settings: Settings
    clock: Clock
    db: Database
    keys: Keys
    node: Node
    capture: Capture
    blobs: Blobs

    @classmethod
    def open(cls, settings: Settings, vault: Vault | None = None) -> Self:
        """Without a ``vault`` its keys have to lie open.

        Raises ``not_enrolled``, ``key_locked``, or what is wrong with the SQLite library of this process.
        """
        clock, db = SystemClock(), open_database(settings)
        node = identity.load(db)
        if node is None:
            raise QurbaniError("not_enrolled")
        keys = Keys.load(vault or Vault(settings.keys))
        capture = Capture(db, keys.ring, clock, new_id)
        return cls(settings, clock, db, keys, node, capture, Blobs(settings.blobs, keys.seal))


@contextmanager
def opened(settings: Settings, vault: Vault | None = None) -> Iterator[Box]:
    """The box for a command that runs beside its processes, or without them."""
    box = Box.open(settings, vault)
    try:
        yield box
    finally:
        box.db.close()


def open_database(settings: Settings) -> Database:
    sqlite.check()
    settings.make_folders()
    return Database(settings.database, ballast(settings).drop)


def ballast(settings: Settings) -> Ballast:
    return Ballast(settings.ballast, settings.edge_ballast_bytes)


def serve(settings: Settings, ask: unlock.Ask = unlock.nobody) -> None:
    """Run the box until SIGTERM. Where its API listens stands in ``run/api.json`` as soon as it may be called.

    Locked keys are opened with what is here, or with what ``ask`` gives; else what opens them is waited for.
    """
    settings.make_folders()
    lock = supervisor.lock(settings.run / "lock")
    for left in (settings.address, settings.unlock):  # by one that was killed
        left.unlink(missing_ok=True)
    vault = unlock.wait(settings, os.environ, ask)
    vault.settle()
    unlock.tell(settings)
    # Whatever is wrong is said here, once, and the schema is brought up to date.
    bus.check(settings.run)
    cameras.parse(settings.edge_cameras)
    if settings.edge_replica:
        recipient(settings)
    with opened(settings, vault) as box:
        practice.begin(settings, vault.password, Site(box.db).languages(), box.clock, new_id)
        authority = _front(box).authority if settings.edge_tls else None
        # Also where its cameras have gone: what they had begun to record is not lost.
        has_recorder = bool(settings.edge_cameras or Recordings(box.db, box.clock).unfinished())
    listening = address.listen(settings)
    where = address.write(settings, listening, authority)
    structlog.get_logger(__name__).info("box_started", **msgspec.structs.asdict(where))

    def program(name: str, *sockets: int) -> Program:
        return Program(_process(name, *sockets), [lock, *sockets], vault.password or b"")

    programs = {
        "api": program("api", *(each.fileno() for each in listening)),
        "worker": program("worker"),
        "agent": program("agent"),
    }
    if has_recorder:
        programs["recorder"] = program("recorder")
    if settings.edge_replica:
        programs["replica"] = program("replica")
    try:
        asyncio.run(Supervisor(programs).run())
    finally:
        settings.address.unlink(missing_ok=True)


def api(settings: Settings, vault: Vault, listening: socket.socket, door: socket.socket | None = None) -> None:
    """The process that the tablets speak to. The supervisor keeps its sockets: who calls during a restart waits.

    With a ``door``, plain HTTP is spoken there, and TLS at ``listening``.
    """
    import uvicorn

    from edge.api import TIDY_S, Chore, Yard, make_app
    from edge.auth import Auth
    from edge.butchery import Butchery
    from edge.claims import Claims
    from edge.events import EventLog, Watch
    from edge.news import Newsstand
    from edge.pages.door import make_door, open_door
    from edge.people import People
    from edge.photos import Photos
    from edge.preflight import Preflights
    from edge.recorder.window import Looker
    from edge.room import Room
    from edge.uploads import VideoUploads
    from models_tflite.store import Store
    from shared.tus.folder import SealingStore
    from shared.tus.server import Limits, UploadServer

    box, bell = Box.open(settings, vault), Bell(settings.run, "api")
    disk = Disk(settings.folder, settings.edge_reserve_bytes)

    def yard(home: str, box: Box, room: Room) -> Yard:
        site, own = Site(box.db), box.settings
        recipients = [box.keys.seal.public, box.node.hub_seal]
        videos = VideoUploads(site, Arrival(box.capture, box.blobs, bell), room)
        uploads = UploadServer(
            SealingStore(own.uploads, recipients, box.keys.seal),
            videos.finished,
            box.clock,
            new_id,
            admit=videos.admit,
            limits=Limits(max_size=own.edge_max_video_bytes),
        )
        claims = Claims(box.db, box.clock, own.edge_claim_s)
        recordings = Recordings(box.db, box.clock)
        photos = Photos(box.db, box.capture, box.blobs, room, recipients, own.uploads)
        butchery = Butchery(box.db, box.capture)
        return Yard(home, site, box.capture, claims, EventLog(box.db), uploads, recordings, photos, butchery, room)

    room = Room(box.db, box.blobs, disk, ballast(settings), settings.edge_low_bytes)
    inner = Box.open(*practice.inside(settings, vault.password))
    # What is practised is confirmed by nobody, so no room is made for it, and it holds no ballast.
    inner_room = Room(inner.db, inner.blobs, disk, Ballast(inner.settings.ballast, 0), 0)
    yards = [yard("", box, room), yard("/practice", inner, inner_room)]
    people = People(box.db, box.clock, timedelta(hours=settings.edge_people_hours))
    auth = Auth(box.db, box.keys.sign, box.clock, timedelta(hours=settings.edge_session_hours), people)
    models = Store.from_environ(os.environ)
    watch = Watch(Ear(settings.run, [OP, FEED, CLAIM, RECORD]))
    chores, beside, security = [Chore(TIDY_S, room.tidy)], [], {}
    chores.append(Chore(TIDY_S, partial(asyncio.to_thread, people.look)))
    if door is not None:
        front = _front(box)
        chores.append(Chore(tls.RENEW_S, partial(asyncio.to_thread, front.renew)))
        outside = make_door(front.authority, listening.getsockname()[1])
        beside.append(lambda _: open_door(outside, door))
        security["ssl_context_factory"] = lambda *_: front.context
    read_status = partial(status.read, box.db, settings, disk, models, box.clock)
    looker = Looker(settings)
    newsstand = Newsstand(box.db, box.keys, box.clock, bell)
    app = make_app(
        yards, auth, box.clock, bell, watch, Preflights(models), looker, newsstand, read_status, chores, beside
    )
    config = uvicorn.Config(
        app,
        **security,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[listening])


def work(settings: Settings, vault: Vault) -> None:
    """The process that checks videos. It is the only one that does, so whoever held a lease before it is dead."""
    from edge import worker
    from edge.check import Checker
    from edge.proofs import Proofs
    from edge.queue import Queue
    from models_tflite.store import Store
    from shared.evidence.stages import Stages

    os.nice(POLITE)
    bell = Bell(settings.run, "worker")

    def busy(box: Box) -> worker.Worker:
        box.db.write(jobs.free)
        stages = Stages(box.settings.stages)
        models = Store.from_environ(os.environ)
        check = Checker(Site(box.db), box.blobs, models, stages, settings.engine, settings.detector)
        recipients = [box.keys.seal.public, box.node.hub_seal]
        prove = Proofs(Site(box.db), box.blobs, recipients, box.settings.uploads)
        return worker.Worker(box.db, box.capture, check, prove, bell, box.clock, new_id)

    inner = Box.open(*practice.inside(settings, vault.password))
    workers = worker.Workers([busy(Box.open(settings, vault)), busy(inner)])
    worker.run(workers, Queue(settings.queue, workers.look), Ear(settings.run, [JOB]))
    os._exit(0)  # a check that is under way is not waited for: the next worker frees its lease


def record(settings: Settings, vault: Vault) -> None:
    """The process that looks through the cameras, the only one: whoever wrote a recording before it is dead."""
    from edge.recorder.office import Office

    bell = Bell(settings.run, "recorder")
    yards = [Box.open(settings, vault), Box.open(*practice.inside(settings, vault.password))]
    Office(settings, yards, bell).run(Ear(settings.run, [RECORD]))


def sync(settings: Settings, vault: Vault) -> None:
    """The process that speaks to the hub."""
    from edge import line
    from edge.agent import Agent, client
    from sync.session import Identity, Session

    box = Box.open(settings, vault)
    found = line.of(settings)
    outbox = line.LineOutbox(box.db, box.keys, box.capture, box.clock, line=found)
    who = Identity(box.node.id, box.keys.ring[box.node.sign_file], box.node.hub_verify)
    with client(settings, settings.hub_url or box.node.hub_url) as http:
        talk = Session(who, outbox, box.blobs, box.clock, new_id)
        Agent(talk, outbox, http, Ear(settings.run, [OP]), settings, line.Cap(found)).run()


def replicate(settings: Settings, vault: Vault) -> None:
    """The process that keeps the replica of the box up to date."""
    from edge.replicator import Replicator, run

    os.nice(POLITE)
    box = Box.open(settings, vault)
    run(Replicator(settings, box.db, box.keys, box.clock, Path(settings.edge_replica), os.environ))


def check_update(settings: Settings, vault: Vault, file: Path, into: Path | None) -> Manifest:
    """See :func:`edge.update.check`. Raises ``misconfigured`` where nobody's updates are taken."""
    from edge import eid, manifests, update

    try:
        key = VerifyKey(bytes.fromhex(settings.edge_release_key))
    except (ValueError, QurbaniError) as error:
        detail = "QURBANI_EDGE_RELEASE_KEY must be what `qurbani edge release-key` printed: 64 hex digits"
        raise QurbaniError("misconfigured", detail) from error
    with opened(settings, vault) as box:
        reading = box.clock.read()
        off_ms = box.db.read(lambda tx: manifests.uncertainty(tx, reading))
        off = CLOCK_UNSURE if off_ms is None else timedelta(milliseconds=off_ms)
        now = update.Now(metadata.version("qurbani"), believed_now(box), off, box.db.read(eid.its_window))
    return update.check(file, key, now, into)


def enrol(settings: Settings, hub_url: str, code: str, name: str, vault: Vault | None = None) -> Node:
    """Become a node of the hub: make keys if there are none yet, show the code, remember the answer.

    A box that is one already asks for its name again: a hub that was put back may have forgotten it.
    """
    from edge.agent import client, send
    from sync import enrolment, session
    from sync.calls import drive

    db = open_database(settings)
    try:
        keys = Keys.make(vault or Vault(settings.keys))
        former = identity.load(db)
        sign_file = former.sign_file if former else identity.FIRST
        message = enrolment.enrol(code, keys.ring[sign_file], keys.seal.public, name, former.id if former else None)
        with client(settings, hub_url) as http:
            answer = drive(session.enrol(message), lambda call: send(http, call))
        node = Node(answer.node, answer.site, name, hub_url, answer.hub_sign_key, answer.hub_seal_key, sign_file)
        identity.save(db, node)
        return node
    finally:
        db.close()


def _process(name: str, *arguments: int) -> list[str]:
    return [sys.executable, "-m", "edge", name, *map(str, arguments)]


def believed_now(box: Box) -> datetime:
    """The time, unless the clock of the box cannot be right: then the last that the hub has told."""
    told = box.db.rows("SELECT contact_hub_ms AS ms FROM link")[0]["ms"]
    return tls.believable(from_ms(box.clock.read().wall_ms), from_ms(told) if told else None)


def _front(box: Box) -> tls.Front:
    extra = [name.strip().lower() for name in box.settings.edge_names.split(",") if name.strip()]
    return tls.Front(box.keys.vault, partial(tls.own_names, extra), partial(believed_now, box))
