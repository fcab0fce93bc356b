"""One contract for every place where blobs may lie: a folder, a bucket of a real S3 server, Cloudinary."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.platform.settings import Settings
from cloud.storage.port import Store
from cloud.storage.service import open_store
from shared.crypto import UnsealKey
from shared.errors import QurbaniError
from shared.sealed import SealedReader, Sealer
from tests.cloudinary import CLOUD, KEY, SECRET, Cloudinary, cloudinary
from tests.s3 import BUCKET, BadLine, bad_line, s3

SMALL = bytes(range(256)) * 100
LARGE = os.urandom(10_500_000)
"""Of several parts for S3, and of two chunks for Cloudinary."""


def settings(root: Path, store: str = "", key: str = "", secret: str = "") -> Settings:
    return Settings(
        database_url="", redis_url="", kafka="", data=str(root), store=store, store_key=key, store_secret=secret)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadLine]:
    with s3(tmp_path_factory.mktemp("s3")) as address, bad_line(address) as line:
        yield line


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloudinary]:
    with cloudinary() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def in_bucket(line: BadLine, tmp_path_factory: pytest.TempPathFactory) -> Store:
    url = f"s3://{BUCKET}/hub?endpoint={line.url}&storage_class=STANDARD_IA"
    return open_store(settings(tmp_path_factory.mktemp("hub"), url, "key", "secret"))


@pytest.fixture(scope="module")
def in_cloud(cloud: Cloudinary, tmp_path_factory: pytest.TempPathFactory) -> Store:
    url = f"cloudinary://{CLOUD}/hub?api={cloud.url}&delivery={cloud.url}"
    return open_store(settings(tmp_path_factory.mktemp("hub"), url, KEY, SECRET))


@pytest.fixture(params=["folder", "s3", "cloudinary"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(settings(tmp_path))
    found: Store = request.getfixturevalue("in_bucket" if request.param == "s3" else "in_cloud")
    return found


def named(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(store: Store, content: bytes, name: str = "") -> Path:
    part = store.part("incoming")
    part.write_bytes(content)
    store.put(name or named(content), part)
    return part


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_blob_is_there_whole_or_not_at_all_and_goes_when_it_is_deleted(store: Store, content: bytes) -> None:
    blob_id = named(content)
    assert not store.has(blob_id)
    for _ in range(2):
        assert not put(store, content).exists()
        assert store.has(blob_id)
        with store.open(blob_id) as blob:
            assert blob.read(len(content) + 1) == content
    for _ in range(2):
        store.delete(blob_id)
        assert not store.has(blob_id)
        with pytest.raises(QurbaniError, match="not_found"):
            store.open(blob_id)


def test_any_part_of_a_blob_can_be_read(store: Store) -> None:
    put(store, SMALL * 10)
    with store.open(named(SMALL * 10)) as blob:
        for start, size in [(0, 1), (5, 0), (200_000, 90_000), (100, 25_600), (255_999, 5), (256_000, 9), (300_000, 1)]:
            blob.seek(start)
            assert blob.read(size) == (SMALL * 10)[start:start + size]
        assert blob.seek(0, os.SEEK_END) == 256_000


@pytest.mark.parametrize("size", [1000, len(LARGE)])
def test_bytes_that_are_not_what_their_name_says_are_not_stored(store: Store, size: int) -> None:
    spoilt = bytearray(LARGE[:size])
    name = named(spoilt)
    spoilt[-1] ^= 1
    with pytest.raises(QurbaniError, match="damaged"):
        put(store, bytes(spoilt), name)
    assert not store.has(name)
    assert store.part("incoming").exists()


@pytest.mark.parametrize("name", ["", "../secret.key", "A" * 64, "a" * 63, "a" * 64 + "\n", "a/" * 32, "%2e" * 22])
def test_a_name_that_is_no_hash_reaches_nothing(store: Store, name: str) -> None:
    for ask in (store.has, store.open, store.delete):
        with pytest.raises(QurbaniError, match="bad_input"):
            ask(name)


def test_a_sealed_video_is_read_from_anywhere(store: Store) -> None:
    key = UnsealKey(b"k" * 32)
    part = store.part("sealed")
    with part.open("wb") as out:
        sealer = Sealer.begin(out.write, [key.public])
        sealer.write(LARGE[:3_000_000])
        blob = sealer.finish()
    store.put(blob.blob_id, part)
    with store.open(blob.blob_id) as sealed, SealedReader(sealed, key) as video:
        video.seek(1_500_000)
        assert video.read(1000) == LARGE[1_500_000:1_501_000]


def test_a_store_says_that_it_is_well(store: Store) -> None:
    store.check()


def test_a_bucket_that_slows_down_and_a_line_that_breaks_lose_nothing(in_bucket: Store, line: BadLine) -> None:
    content = LARGE[::-1]
    line.troubles[:] = ["503", "", "503", "cut", "cut_after", "503"]
    put(in_bucket, content)
    line.troubles[:] = ["503", "cut", "cut"]
    with in_bucket.open(named(content)) as blob:
        assert blob.read(len(content) + 1) == content
    assert not line.troubles


def test_cloudinary_is_asked_again_and_asks_for_nothing_undocumented(in_cloud: Store, cloud: Cloudinary) -> None:
    content = LARGE[::-1]
    cloud.troubles[:] = [503, 500, 429]
    put(in_cloud, content)
    assert cloud.assets[f"hub/{named(content)}"] == content
    assert (cloud.troubles, cloud.refusals) == ([], [])


def test_a_store_that_is_gone_is_not_a_blob_that_is_gone(line: BadLine, cloud: Cloudinary, tmp_path: Path) -> None:
    """Else a video would be given up that is there."""
    nobody = f"cloudinary://nobody?api={cloud.url}&delivery={cloud.url}"
    for url, key in ((f"s3://no-bucket?endpoint={line.url}", "key"), (nobody, "wrong")):
        gone = open_store(settings(tmp_path, url, key, SECRET))
        with pytest.raises(QurbaniError, match="unavailable"):
            gone.check()
        with pytest.raises(QurbaniError, match="unavailable"):
            put(gone, SMALL)
    with pytest.raises(QurbaniError, match="unavailable"):
        open_store(settings(tmp_path, f"s3://no-bucket?endpoint={line.url}", "key", SECRET)).open(named(SMALL))


@pytest.mark.parametrize("url", ["ftp://x", "s3:///x", "file://relative", "s3://b?colour=red", "s3://b?key=other", "x"])
def test_an_address_that_is_no_store_is_named_at_start(url: str, tmp_path: Path) -> None:
    with pytest.raises(QurbaniError, match="misconfigured"):
        open_store(settings(tmp_path, url, "key", "secret"))
