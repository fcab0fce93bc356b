"""A tus server that runs in a thread of the test, over either store."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar

from shared.clock import ManualClock
from shared.crypto import UnsealKey
from shared.ids import new_id
from shared.sealed import SealedReader
from shared.tus.folder import FolderStore, PlainFileStore, SealingStore
from shared.tus.routes import AnyRequest, tus_routes
from shared.tus.server import Arrived, UploadServer

BOX, HUB = UnsealKey(b"b" * 32), UnsealKey(b"h" * 32)
SEGMENT = 64 * 1024
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}


def make_store(kind: str, root: Path) -> FolderStore:
    if kind == "plain":
        return PlainFileStore(root)
    return SealingStore(root, [BOX.public, HUB.public], BOX, segment_size=SEGMENT)


def principal(request: AnyRequest) -> str:
    return request.headers.get("authorization", "tablet-1")


class Live:
    """A running server; what arrives is taken into ``taken`` (a folder), as the box and the hub do."""

    def __init__(self, kind: str, root: Path, **options: Any) -> None:
        self.kind = kind
        self.clock = options.setdefault("clock", ManualClock())
        self.taken = root / "taken"
        self.taken.mkdir(exist_ok=True)
        self._given = 0
        self.arrived: list[Arrived] = []
        self.finished = self.take
        store = options.pop("store", None) or make_store(kind, root / "uploads")
        self.uploads = UploadServer(store, self._finished, new_id=new_id, **options)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/files"
        routes = tus_routes(self.uploads, path="/files", principal=principal)
        app = Litestar([routes], openapi_config=None, logging_config=None)
        config = uvicorn.Config(self._counting(app), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    def _counting(self, app: Litestar) -> Any:
        """Around the app, to know how much of the bodies it has been given."""
        async def counting(scope: Any, receive: Any, send: Any) -> None:
            async def counted() -> Any:
                event = await receive()
                self._given += len(event.get("body", b""))
                return event

            await app(scope, counted, send)

        return counting

    def has_been_given(self, size: int) -> None:
        """Return when the app has been given ``size`` bytes of bodies since this was called last."""
        deadline = time.monotonic() + 10
        while self._given < size:
            assert time.monotonic() < deadline, f"only {self._given} bytes came"
            time.sleep(0.002)
        self._given = 0

    async def _finished(self, arrived: Arrived) -> None:
        await self.finished(arrived)

    async def take(self, arrived: Arrived) -> None:
        target = self.taken / arrived.blob.blob_id
        if arrived.path.exists():
            os.replace(arrived.path, target)
        self.arrived.append(arrived)

    def content(self) -> bytes:
        """The bytes of the only upload that arrived."""
        [arrived] = self.arrived
        target = self.taken / arrived.blob.blob_id
        assert hashlib.sha256(target.read_bytes()).hexdigest() == arrived.blob.blob_id
        with target.open("rb") as file:
            plain = file.read() if self.kind == "plain" else SealedReader(file, HUB).read()
        assert hashlib.sha256(plain).hexdigest() == arrived.blob.sha256
        assert (arrived.blob.size, arrived.blob.blob_size) == (len(plain), target.stat().st_size)
        return plain

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.uploads.close()
