"""How long a request may take to arrive: whoever sends it slower than any line of ours holds no connection open.

The server itself waits for ever for the end of a head or a body. Here each has :data:`GRACE_S`, and one second more for
every :data:`LEAST_BYTES_S` that have come: a box at 9600 bit/s is six times as fast.
"""

from __future__ import annotations

import asyncio

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.errors import QurbaniError
from shared.headers import bare
from shared.problems import MEDIA_TYPE

GRACE_S = 60.0
LEAST_BYTES_S = 200


class Patient(HttpToolsProtocol):
    """A connection whose patience ends. What it refuses itself is refused like everything else (RFC 9457)."""

    _look: asyncio.TimerHandle | None = None
    _is_asked = False
    """Whether the head of the request under way is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._expect()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._look is None:
            self._expect()

    def on_headers_complete(self) -> None:
        self._is_asked = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._forget()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        super().data_received(data)

    def handle_websocket_upgrade(self) -> None:
        self._forget()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse("bad_input", msg)

    def _expect(self) -> None:
        self._bytes, self._is_asked = 0, False
        self._until = self.loop.time() + GRACE_S
        self._look = self.loop.call_at(self._until, self._judge)

    def _forget(self) -> None:
        if self._look:
            self._look.cancel()
            self._look = None

    def _judge(self) -> None:
        due = self._until + self._bytes / LEAST_BYTES_S
        if due > self.loop.time():
            self._look = self.loop.call_at(due, self._judge)
        elif self._is_asked and self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse("too_slow")

    def _refuse(self, code: str, detail: str = "") -> None:
        error = QurbaniError(code, detail)
        body = msgspec.json.encode(error.problem())
        headers = [
            (b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"), *bare(),
        ]  # fmt: skip
        lines = [STATUS_LINE[error.kind.status], *(name + b": " + value + b"\r\n" for name, value in headers)]
        self.transport.write(b"".join([*lines, b"\r\n", body]))
        self.transport.close()
