"""A hub of real processes and boxes in memory, for the benchmarks of sync."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx
import msgspec

from demo.desk import Admin
from demo.process import Process, command
from demo.servers import Servers
from demo.servers.server import Port
from edge.agent import client, send
from edge.settings import Settings
from shared.clock import SystemClock
from shared.crypto import SealKey, SigningKey, UnsealKey, VerifyKey
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from shared.ids import new_id
from shared.sealed import Sealer
from sync import enrolment, feed, hlc, session
from sync.calls import Call, Reply, drive
from sync.messages import Change, Parked
from sync.ops import GENESIS, Batch, Op, op_hash, pack, sign_op
from sync.ports import Outgoing, Position
from sync.schedule import order

CLOCK = SystemClock()


class Hub:
    """``qurbani cloud serve`` on a database of its own; ``port`` is where it listens."""

    def __init__(self, process: Process, port: int, admin: Admin, folder: Path) -> None:
        self.process, self.port, self.admin, self.folder = process, port, admin, folder

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def site(self) -> Site:
        """A box, enrolled at a new site with one animal, which has read its feed."""
        site = self.admin.add_site(f"Site {new_id().hex[-6:]}", "Africa/Algiers", ["ar"])
        self.admin.add_animal(site, "1", "sheep", "A")
        key, seal = SigningKey(os.urandom(32)), UnsealKey(os.urandom(32)).public
        message = enrolment.enrol(self.admin.enrolment_code(site), key, seal, "a box")
        with self.client() as http:
            enrolled = drive(session.enrol(message), lambda call: send(http, call))
            who = session.Identity(enrolled.node, key, VerifyKey(enrolled.hub_sign_key))
            found = Site(who, enrolled.site, SealKey(enrolled.hub_seal_key))
            found.sync(http)
        return found

    def client(self, port: int = 0) -> httpx.Client:
        """As a box has it; ``port`` is another road to the hub."""
        return client(Settings(data=""), f"http://127.0.0.1:{port or self.port}")

    def peak_bytes(self) -> int:
        """The most memory that its process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@contextmanager
def hub(program: str = "serve", **settings: str) -> Iterator[Hub]:
    """``qurbani cloud PROGRAM``: ``serve`` answers, ``run`` does all the rest as well."""
    with TemporaryDirectory(prefix="qurbani-bench-") as name, Servers.start() as servers, \
            servers.room() as room, Port() as port:
        folder = Path(name).absolute()
        place = {"QURBANI_DATA": str(folder / "hub"), "QURBANI_PORT": str(port.number)}
        place |= {"QURBANI_RATE_FACTOR": "1000"}  # one admin enrols all boxes in a minute
        environ = room.environ() | place | settings
        command("cloud", "migrate", environ=environ)
        password = command("cloud", "create-admin", "--email", "admin@bench.example", environ=environ).split()[-1]
        with Process("cloud", program, environ=environ, log=folder / "hub.log") as process:
            url = f"http://127.0.0.1:{port.number}"
            process.wait_for("the hub", lambda: httpx.get(f"{url}/health/live").is_success, 120)
            admin = Admin(url, "admin@bench.example", password)
            admin.sign_in()
            yield Hub(process, port.number, admin, folder)


class Site:
    """A :class:`sync.ports.NodeStore` and :class:`sync.ports.Blobs` in memory, and the session over them."""

    def __init__(self, who: session.Identity, site: UUID, hub: SealKey) -> None:
        self.who, self.site, self.hub = who, site, hub
        self.ops: list[Op] = []
        self.hashes = [GENESIS]
        self.place = Position(who.node, 0, 0, 0)
        self.parked: list[Parked] = []
        self.told: dict[tuple[str, UUID], Mapping[str, Any]] = {}
        self.blobs: dict[str, bytes] = {}
        self.waiting: dict[str, str] = {}
        """What is to be sent, and its kind."""
        self.session = session.Session(who, self, self, CLOCK, new_id)

    # What happens at the site

    def open(self) -> UUID:
        """A sacrifice of its animal."""
        animal = next(key for entity, key in self.told if entity == "animal")
        id, opened = new_id(), {"wall_ms": CLOCK.read().wall_ms, "mono_ms": 5, "boot": "b"}
        patch = {"site_id": str(self.site), "animal_id": str(animal), "executor_id": str(new_id()), "opened": opened}
        self.write("sacrifice", id, {**patch, "state": "opened"})
        return id

    def film(self, content: bytes) -> UUID:
        """A sacrifice of its animal whose video, with these bytes, a check found good."""
        sealed, id = io.BytesIO(), new_id()
        sealer = Sealer.begin(sealed.write, [self.hub])
        sealer.write(content)
        blob = sealer.finish()
        captured = {"wall_ms": CLOCK.read().wall_ms, "mono_ms": 5, "boot": "b"}
        self.write("video", id, {
            "sacrifice_id": str(self.open()), "sha256": blob.sha256, "size": blob.size, "blob_id": blob.blob_id,
            "blob_size": blob.blob_size, "media_type": "video/mp4", "captured": captured,
        })  # fmt: skip
        verdict = {"video_id": str(id), "outcome": "authentic", "body": msgspec.to_builtins(Verdict("authentic", "1"))}
        self.write("verdict", new_id(), verdict)
        self.seal(sealed.getvalue())
        return id

    def write(self, entity: str, key: UUID, patch: dict[str, Any], actor: str = "box") -> None:
        seq = len(self.ops) + 1
        stamp = hlc.tick(self.ops[-1].hlc if self.ops else 0, CLOCK.read().wall_ms)
        self.ops.append(Op(self.who.node, seq, stamp, entity, key, patch, actor, self.hashes[-1]))
        self.hashes.append(op_hash(self.ops[-1]))

    def seal(self, content: bytes, kind: str = "original") -> None:
        blob_id = hashlib.sha256(content).hexdigest()
        self.blobs[blob_id] = content
        self.waiting[blob_id] = kind

    def sync(self, http: httpx.Client, sent: Callable[[Call], None] = lambda call: None) -> None:
        def road(call: Call) -> Reply:
            sent(call)
            return send(http, call)

        drive(self.session.run(), road)

    def insist(self, here: Callable[[], httpx.Client], sent: Callable[[Call], None] = lambda call: None,
               failed: Callable[[QurbaniError], None] = lambda error: None) -> None:
        """Sync until it has come to its end, again after each failure that a repetition may cure."""
        while True:
            try:
                with here() as http:
                    return self.sync(http, sent)
            except QurbaniError as error:
                if not error.retry:
                    raise
                failed(error)

    # The ports

    def position(self) -> Position:
        return msgspec.structs.replace(self.place, head=len(self.ops))

    def batch(self, after: int, max_ops: int, max_bytes: int) -> Batch | None:
        ops = self.ops[after : after + max_ops]
        return pack(ops, sign_op(self.who.key, self.hashes[ops[-1].seq])) if ops else None

    def hash_at(self, seq: int) -> bytes:
        return self.hashes[seq]

    def acknowledge(self, acked: int, parked: Sequence[Parked], *, whole: bool = False) -> None:
        self.place = msgspec.structs.replace(self.place, acked=acked)
        self.parked += parked

    def apply(self, page: feed.Page) -> None:
        self.told = feed.apply(self.told, page.changes)
        self.place = msgspec.structs.replace(self.place, cursor=page.cursor, mark=page.mark)

    def records(self) -> Mapping[tuple[str, UUID], Mapping[str, Any]]:
        return self.told

    def repair(self, changes: Sequence[Change]) -> None:
        self.told = feed.apply(self.told, changes)

    def heir(self) -> Any:
        raise NotImplementedError("nobody clones a box here")

    def take_over(self, node: UUID, common: int) -> None:
        raise NotImplementedError("nobody clones a box here")

    def heard(self, time_ms: int) -> None:
        pass

    def outgoing(self) -> Sequence[Outgoing]:
        return order(Outgoing(id, len(self.blobs[id]), kind, self.site) for id, kind in self.waiting.items())

    def sent(self, blob_id: str) -> None:
        del self.waiting[blob_id]

    def read(self, blob_id: str, offset: int, size: int) -> bytes:
        return self.blobs[blob_id][offset : offset + size]
