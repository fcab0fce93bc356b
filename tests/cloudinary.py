"""A local server that takes what Cloudinary documents for raw assets, and nothing else.

Written from the documents of the upload API, of its signatures and of delivery URLs, not from our client.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

CLOUD, KEY, SECRET = "charity", "1234567890", "not-so-secret"
LEAST_CHUNK = 5_000_000


class Refused(Exception):
    pass


class Cloudinary(ThreadingHTTPServer):
    """``assets`` by public id; ``uploads`` are those that are not whole yet."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.assets: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.troubles: list[int] = []
        """The statuses with which the next requests fail."""
        self.refusals: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Cloudinary

    def take(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.server.troubles:
            return self.answer(self.server.troubles.pop(0), {"error": {"message": "for a while"}})
        try:
            return self.route(body)
        except Refused as error:
            self.server.refusals.append(str(error))
            return self.answer(400, {"error": {"message": str(error)}}, {"x-cld-error": str(error)})

    do_GET = do_HEAD = do_POST = take

    def route(self, body: bytes) -> None:
        if self.command == "POST" and self.path == f"/v1_1/{CLOUD}/raw/upload":
            return self.upload(self.form(body))
        if self.command == "POST" and self.path == f"/v1_1/{CLOUD}/raw/destroy":
            return self.destroy(self.form(body))
        if self.command == "GET" and self.path == f"/v1_1/{CLOUD}/ping":
            expected = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
            is_known = self.headers["authorization"] == f"Basic {expected}"
            return self.answer(200 if is_known else 401, {"status": "ok"})
        if self.command in ("GET", "HEAD"):
            return self.deliver()
        raise Refused("no such method")

    def form(self, body: bytes) -> dict[str, Any]:
        """The fields of a form, whose signature and time are right."""
        kind = self.headers["content-type"]
        if kind.startswith("application/x-www-form-urlencoded"):
            fields: dict[str, Any] = dict(parse_qsl(body.decode(), strict_parsing=True))
        else:
            boundary = b"--" + kind.partition("boundary=")[2].encode()
            fields = {}
            for part in body.split(boundary)[1:-1]:
                head, _, content = part[2:-2].partition(b"\r\n\r\n")
                name = re.search(rb'name="(\w+)"', head)[1].decode()
                fields[name] = content if name == "file" else content.decode()
        signed = {name: fields[name] for name in fields if name not in ("file", "api_key", "signature")}
        text = "&".join(f"{name}={value}" for name, value in sorted(signed.items())) + SECRET
        allowed = {hashlib.sha1(text.encode()).hexdigest(), hashlib.sha256(text.encode()).hexdigest()}
        if fields.get("signature") not in allowed or fields.get("api_key") != KEY:
            raise Refused("Invalid Signature")
        if abs(time.time() - int(fields["timestamp"])) > 3600:
            raise Refused("Stale request")
        return fields

    def upload(self, fields: dict[str, Any]) -> None:
        if set(fields) - {"file", "api_key", "signature", "timestamp", "public_id", "type", "overwrite"}:
            raise Refused("a parameter that is not documented")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", self.headers.get("content-range", ""))
        upload = self.headers.get("x-unique-upload-id", "")
        if match is None or not upload or fields["type"] != "authenticated":
            raise Refused("not a chunk")
        start, last, size = map(int, match.groups())
        so_far = self.server.uploads.get(upload, b"")
        is_last = last + 1 == size
        if start != len(so_far) or last + 1 - start != len(fields["file"]) or last >= size:
            raise Refused("Content-Range does not fit")
        if not is_last and len(fields["file"]) < LEAST_CHUNK:
            raise Refused("chunks must be larger than 5 MB")
        whole = so_far + fields["file"]
        if not is_last:
            self.server.uploads[upload] = whole
            return self.answer(200, {"done": False, "bytes": len(whole), "public_id": fields["public_id"]})
        self.server.uploads.pop(upload, None)
        id = fields["public_id"]
        existing = id in self.server.assets and fields.get("overwrite") == "false"
        kept = self.server.assets[id] = self.server.assets[id] if existing else whole
        told = {"public_id": id, "bytes": len(kept), "resource_type": "raw", "type": "authenticated", "done": True}
        return self.answer(200, told | ({"existing": True} if existing else {}))

    def destroy(self, fields: dict[str, Any]) -> None:
        found = self.server.assets.pop(fields["public_id"], None)
        self.answer(200, {"result": "not found" if found is None else "ok"})

    def deliver(self) -> None:
        match = re.fullmatch(rf"/{CLOUD}/raw/authenticated/s--([\w-]+)--/((?:v\d+/)?)(.+)", self.path)
        if match is None:
            return self.answer(404, {})
        signature, version, id = match.groups()
        expected = base64.urlsafe_b64encode(hashlib.sha256((id + SECRET).encode()).digest()).decode()[:32]
        if signature != expected or ("/" in id and not version):
            return self.answer(401, {})
        content = self.server.assets.get(id)
        if content is None:
            return self.answer(404, {}, {"x-cld-error": f"Resource not found - {id}"})
        range = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if range is None:
            return self.send(200, content, {})
        start, stop = int(range[1]), min(int(range[2]) + 1, len(content))
        return self.send(206, content[start:stop], {"content-range": f"bytes {start}-{stop - 1}/{len(content)}"})

    def answer(self, status: int, told: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self.send(status, json.dumps(told).encode(), headers or {})

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def cloudinary() -> Iterator[Cloudinary]:
    server = Cloudinary()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
