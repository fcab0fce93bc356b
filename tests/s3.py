"""A real S3-speaking server on this machine, and a bad line to it."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from demo.servers.server import HOST, Port, Server

BUCKET = "videos"


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The address of a server with one empty bucket. It ends with us, however we end."""
    port = Port()
    address = f"http://{HOST}:{port.number}"

    def answers() -> None:
        with port.connect():
            pass

    command: list[str | Path] = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port.number)]
    server = Server(command, folder, answers)
    try:
        server.wait()
        httpx.put(f"{address}/{BUCKET}").raise_for_status()
        yield address
    finally:
        server.stop()
        port.close()


class BadLine(ThreadingHTTPServer):
    """Passes requests on to ``server``, of which it spoils as many as it is told to."""

    daemon_threads = True

    def __init__(self, server: str) -> None:
        super().__init__((HOST, 0), _Passing)
        self.server = server
        self.troubles: list[str] = []
        """What happens to the next requests: ``503``, ``cut`` (no answer), ``cut_after`` (done, and no answer)."""
        self.url = f"http://{HOST}:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # cut on purpose


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BadLine

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        trouble = self.server.troubles.pop(0) if self.server.troubles else ""
        if trouble == "cut":
            self.cut()
            return
        if trouble == "503":
            self.answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        status, headers, content = self.ask(body)
        if trouble == "cut_after":
            self.cut()
            return
        self.answer(status, headers, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.server.removeprefix("http://"), timeout=20)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        kept = {name.lower(): value for name, value in headers.items()}
        kept = {name: value for name, value in kept.items() if name not in ("connection", "transfer-encoding")}
        kept.setdefault("content-length", str(len(content)))
        for name, value in kept.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def bad_line(server: str) -> Iterator[BadLine]:
    line = BadLine(server)
    thread = threading.Thread(target=line.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield line
    finally:
        line.shutdown()
        line.server_close()
        thread.join()
