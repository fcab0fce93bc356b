"""Blobs in a folder. Every store is to pass these."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cloud.storage.folder import FolderStore
from shared.errors import QurbaniError

DATA = bytes(range(256)) * 100
BLOB = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def put(store: FolderStore) -> Path:
    part = store.part("incoming")
    part.write_bytes(DATA)
    store.put(BLOB, part)
    return part


def test_a_blob_is_there_whole_or_not_at_all(store: FolderStore) -> None:
    assert not store.has(BLOB)
    for _ in range(2):
        assert not put(store).exists()
        assert store.has(BLOB)
        with store.open(BLOB) as blob:
            assert blob.read() == DATA


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 5), (9, 3), (100, 25_600), (25_599, 30_000), (30_000, 30_001)])
def test_a_range_is_a_slice(store: FolderStore, start: int, stop: int) -> None:
    put(store)
    assert store.range(BLOB, start, stop) == DATA[start:stop]


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store: FolderStore) -> None:
    put(store)
    for _ in range(2):
        store.delete(BLOB)
    with pytest.raises(QurbaniError, match="not_found"):
        store.open(BLOB)


@pytest.mark.parametrize("name", ["", "../secret.key", BLOB.upper(), BLOB[:-1], BLOB + "\n"])
def test_a_name_that_is_no_hash_reaches_no_file(store: FolderStore, name: str) -> None:
    put(store)
    for ask in (store.has, store.open, store.delete):
        with pytest.raises(QurbaniError, match="bad_input"):
            ask(name)
