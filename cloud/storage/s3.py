"""Blobs in a bucket, over the S3 API: Wasabi, MinIO, AWS and whoever else speaks it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store as Bucket

from cloud.storage.blobs import named, proved
from cloud.storage.remote import AHEAD, RemoteFile
from shared.errors import QurbaniError

PART = 5 * 1024 * 1024
"""Of a multipart upload, the least that S3 takes. It takes 10,000 of them, so a blob has at most 50 GB."""
ABREAST = 3
"""So many parts are under way, and in memory, at once."""
TIMEOUT = timedelta(seconds=30)
"""For one request, of one part at most; each is tried again (with back-off and jitter) until :data:`PATIENCE`."""
PATIENCE = timedelta(seconds=90)


class S3Store:
    """The :class:`cloud.storage.port.Store` in a bucket.

    Every part is sent with its SHA-256, which the server checks. A blob shows only when it is complete, and it is not
    completed unless all of it is what its name says.
    """

    def __init__(
        self, bucket: str, parts: Path, *, key: str, secret: str, prefix: str = "", endpoint: str = "",
        region: str = "us-east-1", storage_class: str = "",
    ) -> None:
        parts.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._parts = parts
        self._attributes = {"Storage-Class": storage_class} if storage_class else {}
        place = {"endpoint": endpoint} if endpoint else {}
        self._bucket = Bucket(
            bucket, prefix=prefix or None, access_key_id=key, secret_access_key=secret, region=region,
            checksum_algorithm="SHA256", disable_bulk_delete=True,
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": TIMEOUT},
            retry_config={"retry_timeout": PATIENCE}, **cast(Any, place),
        )  # fmt: skip

    def part(self, name: str) -> Path:
        return self._parts / name

    def put(self, blob_id: str, part: Path) -> None:
        if not self.has(blob_id):
            pieces = proved(blob_id, part, PART)
            if os.path.getsize(part) <= PART:
                self._put_small(blob_id, b"".join(pieces))
            else:
                self._put_large(blob_id, pieces)
        part.unlink()

    def has(self, blob_id: str) -> bool:
        with _told():
            try:
                obstore.head(self._bucket, _path(blob_id))
            except FileNotFoundError:
                return False
        return True

    def open(self, blob_id: str) -> BinaryIO:
        path = _path(blob_id)
        with _told():
            first = obstore.get(self._bucket, path, options={"range": (0, AHEAD)})
            held = first.bytes().to_bytes()
        return cast(BinaryIO, RemoteFile(first.meta["size"], lambda start, stop: self._fetch(path, start, stop), held))

    def delete(self, blob_id: str) -> None:
        with _told():
            obstore.delete(self._bucket, _path(blob_id))

    def check(self) -> None:
        with _told():
            next(iter(obstore.list(self._bucket, "check")), None)

    def _put_small(self, blob_id: str, content: bytes) -> None:
        with _told(), suppress(AlreadyExistsError):  # another worker's, of the same bytes
            obstore.put(self._bucket, _path(blob_id), content, mode="create", attributes=self._attributes)

    def _put_large(self, blob_id: str, pieces: Iterator[bytes]) -> None:
        with _told():
            obstore.put(
                self._bucket, _path(blob_id), pieces, attributes=self._attributes, chunk_size=PART,
                max_concurrency=ABREAST,
            )  # fmt: skip

    def _fetch(self, path: str, start: int, stop: int) -> bytes:
        with _told():
            return obstore.get_range(self._bucket, path, start=start, end=stop).to_bytes()


def _path(blob_id: str) -> str:
    return f"blobs/{named(blob_id)[:2]}/{blob_id}"


@contextmanager
def _told() -> Iterator[None]:
    """What the client raises, in our words. Its own tell the address and the answer, and never the key."""
    try:
        yield
    except (FileNotFoundError, BaseError) as error:
        is_blob = isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error)
        said = str(error).partition("\n")[0][:300]
        raise QurbaniError("not_found" if is_blob else "unavailable", f"the store: {said}") from error
