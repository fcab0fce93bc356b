"""Blobs as raw assets at Cloudinary, over its documented upload API and its delivery URLs.

A sealed blob is no video to anybody but us, hence the resource type ``raw``: as ``video`` it would be refused. The
delivery type is ``authenticated``, so an address is of no use without a signature of ours.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx

from cloud.storage.blobs import named, proved
from cloud.storage.remote import AHEAD, RemoteFile
from shared.clock import Clock
from shared.errors import QurbaniError

API = "https://api.cloudinary.com"
DELIVERY = "https://res.cloudinary.com"

CHUNK = 10_000_000
"""Bytes of one request; Cloudinary wants at least 5 MB of all but the last."""
TRIES = 5
PAUSE_S = 0.25
"""Before the second try; doubled before each further one, and drawn anew between half and all of it."""
TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class CloudinaryStore:
    """The :class:`cloud.storage.port.Store` at the cloud ``cloud``."""

    def __init__(
        self, cloud: str, parts: Path, clock: Clock, *, key: str, secret: str, prefix: str = "", api: str = API,
        delivery: str = DELIVERY,
    ) -> None:
        parts.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._parts = parts
        self._clock = clock
        self._key, self._secret = key, secret
        self._prefix = f"{prefix}/" if prefix else ""
        self._api = f"{api}/v1_1/{cloud}"
        self._delivery = f"{delivery}/{cloud}/raw/authenticated"
        self._http = httpx.Client(timeout=TIMEOUT)

    def part(self, name: str) -> Path:
        return self._parts / name

    def put(self, blob_id: str, part: Path) -> None:
        if not self.has(blob_id):
            self._upload(blob_id, part)
        part.unlink()

    def has(self, blob_id: str) -> bool:
        return self._answer("HEAD", self._address(blob_id), missing=True) is not None

    def open(self, blob_id: str) -> BinaryIO:
        address = self._address(blob_id)
        first = self._answer("GET", address, headers=_range(0, AHEAD), missing=True)
        if first is None:
            raise QurbaniError("not_found", f"there is no blob {blob_id}")
        size = int(first.headers.get("content-range", f"/{len(first.content)}").rpartition("/")[2])
        return cast(BinaryIO, RemoteFile(size, lambda start, stop: self._fetch(address, start, stop), first.content))

    def delete(self, blob_id: str) -> None:
        form = self._signed(public_id=self._id(blob_id), type="authenticated", invalidate="true")
        result = self._answer("POST", f"{self._api}/raw/destroy", data=form).json()["result"]
        if result not in ("ok", "not found"):
            raise QurbaniError("unavailable", f"Cloudinary does not delete: {result}")

    def check(self) -> None:
        self._answer("GET", f"{self._api}/ping", auth=(self._key, self._secret))

    def _upload(self, blob_id: str, part: Path) -> None:
        """In chunks under one upload id; the last, which completes it, goes only when the hash is right."""
        size, start = part.stat().st_size, 0
        upload = secrets.token_hex(16)
        kept: dict[str, Any] = {}
        for chunk in proved(blob_id, part, CHUNK):
            stop = start + len(chunk)
            headers = {"X-Unique-Upload-Id": upload, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
            form = self._signed(public_id=self._id(blob_id), type="authenticated", overwrite="false")
            address, files = f"{self._api}/raw/upload", {"file": (blob_id, chunk)}
            kept = self._answer("POST", address, data=form, files=files, headers=headers).json()
            start = stop
        if (kept.get("public_id"), kept.get("bytes")) != (self._id(blob_id), size):
            raise QurbaniError("unavailable", "Cloudinary has not kept what it was sent")

    def _fetch(self, address: str, start: int, stop: int) -> bytes:
        content: bytes = self._answer("GET", address, headers=_range(start, stop)).content
        if len(content) != stop - start:
            raise QurbaniError("unavailable", "Cloudinary has not sent what it was asked for")
        return content

    def _id(self, blob_id: str) -> str:
        return self._prefix + named(blob_id)

    def _address(self, blob_id: str) -> str:
        """Where it is delivered; of an id with folders Cloudinary wants a version, too."""
        id = self._id(blob_id)
        digest = hashlib.sha256((id + self._secret).encode()).digest()
        signature = base64.urlsafe_b64encode(digest).decode()[:32]
        return f"{self._delivery}/s--{signature}--/{'v1/' if self._prefix else ''}{id}"

    def _signed(self, **form: str) -> dict[str, str]:
        """The form with its time and signature, which holds for an hour."""
        form["timestamp"] = str(int(self._clock.now().timestamp()))
        text = "&".join(f"{name}={form[name]}" for name in sorted(form))
        signature = hashlib.sha256((text + self._secret).encode()).hexdigest()
        return {**form, "api_key": self._key, "signature": signature}

    def _answer(self, method: str, address: str, *, missing: bool = False, **request: Any) -> Any:
        """The answer, after as many tries as it takes; None for what is missing, where that may be."""
        error = ""
        for pause in _pauses():
            try:
                answer = self._http.request(method, address, **request)
            except httpx.TransportError as cut:
                error = type(cut).__name__
            else:
                if answer.is_success:
                    return answer
                if missing and answer.status_code == 404:
                    return None
                error = f"{answer.status_code} {answer.headers.get('x-cld-error', '')}"
                if answer.status_code < 500 and answer.status_code not in (408, 420, 429):
                    break
            time.sleep(pause)
        raise QurbaniError("unavailable", f"Cloudinary: {error}")


def _range(start: int, stop: int) -> dict[str, str]:
    return {"Range": f"bytes={start}-{stop - 1}"}


def _pauses(draw: Callable[[int], int] = secrets.randbelow) -> Iterator[float]:
    """After each try but the last, which has nothing to wait for."""
    for number in range(TRIES - 1):
        yield PAUSE_S * 2**number * (0.5 + draw(1000) / 2000)
    yield 0.0
