"""The stores that the settings ask for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cloud.platform.settings import Settings
from cloud.storage.cloudinary import CloudinaryStore
from cloud.storage.folder import FolderStore
from cloud.storage.port import Store
from cloud.storage.s3 import S3Store
from shared.clock import SystemClock
from shared.errors import QurbaniError


def open_store(settings: Settings) -> Store:
    """Where videos lie as long as they are watched. Raises ``misconfigured``."""
    if not settings.store:
        return FolderStore(settings.data_path)
    return _opened(settings.store, settings.store_key, settings.store_secret, settings.data_path / "parts")


def open_cold(settings: Settings) -> Store:
    """Where old videos lie. Raises ``misconfigured``, also where there is no such store."""
    if not settings.cold_store or settings.cold_store == settings.store:
        raise QurbaniError("misconfigured", "QURBANI_COLD_STORE names no store beside QURBANI_STORE")
    key, secret = settings.cold_store_key or settings.store_key, settings.cold_store_secret or settings.store_secret
    return _opened(settings.cold_store, key, secret, settings.data_path / "parts")


def holds(settings: Settings, blob_id: str) -> bool:
    """Whether a blob is in any store."""
    return open_store(settings).has(blob_id) or (bool(settings.cold_store) and open_cold(settings).has(blob_id))


@lru_cache
def _opened(url: str, key: str, secret: str, parts: Path) -> Store:
    """One for all who ask: each has connections that are worth keeping."""
    try:
        at = urlsplit(url)
        options = dict(parse_qsl(at.query, strict_parsing=bool(at.query)))
        if at.scheme == "file" and not at.netloc and at.path:
            return FolderStore(Path(at.path), **options)
        if at.scheme == "s3" and at.netloc:
            return S3Store(at.netloc, parts, key=key, secret=secret, prefix=at.path.strip("/"), **options)
        if at.scheme == "cloudinary" and at.netloc:
            prefix = at.path.strip("/")
            return CloudinaryStore(at.netloc, parts, SystemClock(), key=key, secret=secret, prefix=prefix, **options)
    except (ValueError, TypeError) as error:
        raise QurbaniError("misconfigured", f"no store can be opened at {url}: {error}") from error
    raise QurbaniError("misconfigured", f"{url} is no store; file:///FOLDER, s3://BUCKET or cloudinary://CLOUD is")
