"""The protocol tests' hub in memory, behind a real HTTP port: what a box's agent meets when there is no cloud yet."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from uuid import UUID

from shared.clock import ManualClock
from shared.crypto import VerifyKey
from sync.calls import Call, Reply
from sync.messages import BLOBS, Enrol, from_wire
from tests.unit.sync import world
from tests.unit.sync.chains import NODE


class Hub(world.Hub):
    """Answers over HTTP at ``url``; whoever shows its code becomes its one box."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.lock = threading.RLock()
        self.page_rows = 1000
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, entity: str, key: UUID, fields: dict[str, Any] | None) -> None:
        """Put a record into the site feed."""
        with self.lock:
            super().publish(entity, key, fields)

    def answer(self, call: Call) -> Reply:
        with self.lock:
            return super().answer(call)

    def cut(self, call: Call) -> None:
        """The connection ended in the middle of the call's body."""
        blob_id = call.path.removeprefix(f"{BLOBS}/")
        with self.lock:
            if call.method == "PATCH" and int(call.headers["upload-offset"]) == len(self.uploads[blob_id]):
                self.receive(blob_id, call.body)

    def entities(self) -> Counter[str]:
        """How many records of each kind have come in through ops."""
        with self.lock:
            return Counter(entity for entity, _ in self.records)

    def _enrol(self, call: Call) -> Reply:
        reply = super()._enrol(call)
        self.nodes[NODE] = VerifyKey(from_wire(call.body, Enrol).sign_key)
        return reply


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Let ``hub`` answer; after it was gone, at the same address as before."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_call(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(self.command, self.path, headers, self.rfile.read(size))
            if len(call.body) < size:
                hub.cut(call)
                self.close_connection = True
                return
            reply = hub.answer(call)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_PATCH = do_HEAD = handle_one_call

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        connections: ClassVar[set[socket.socket]] = set()

        def process_request(self, request: Any, client_address: Any) -> None:
            self.connections.add(request)
            super().process_request(request, client_address)

        def hang_up(self) -> None:
            """Also on those that keep a connection for their next call."""
            for connection in self.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the box was killed in the middle of a call: that is what these tests are about

    server = Server(("127.0.0.1", hub.port), Handler)
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        server.hang_up()
        thread.join()
