"""What tus writes into headers, read strictly."""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from typing import Any

import msgspec

from shared.errors import QurbaniError

VERSION = "1.0.0"
CHUNK_TYPE = "application/offset+octet-stream"

CHECKSUMS: dict[str, Callable[[], Any]] = {
    "sha1": partial(hashlib.sha1, usedforsecurity=False),  # every server must know it; it guards against accidents
    "sha256": hashlib.sha256,
}

_NUMBER = re.compile(r"[0-9]{1,15}")
_KEY = re.compile(r"[!-+\--~]+")  # printable ASCII without space and comma


class Checksum(msgspec.Struct, frozen=True):
    """What ``Upload-Checksum`` promises of the body it comes with."""

    algorithm: str
    digest: bytes


def read_number(name: str, text: str | None) -> int | None:
    """A count of bytes out of the header ``name``; None where there is none."""
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise QurbaniError("bad_input", f"{name} must be a number of bytes")
    return int(text)


def read_checksum(text: str | None) -> Checksum | None:
    if text is None:
        return None
    algorithm, _, digest = text.partition(" ")
    if algorithm not in CHECKSUMS:
        raise QurbaniError("bad_input", f"Upload-Checksum must use one of {', '.join(CHECKSUMS)}")
    return Checksum(algorithm, _base64("Upload-Checksum", digest))


def write_checksum(algorithm: str, data: bytes | bytearray | memoryview) -> str:
    """The ``Upload-Checksum`` of ``data``."""
    digest = CHECKSUMS[algorithm]()
    digest.update(data)
    return f"{algorithm} {b64encode(digest.digest()).decode()}"


def read_metadata(text: str | None) -> dict[str, str]:
    """``Upload-Metadata``: comma-separated pairs of a key and a base64 value, which is UTF-8 here."""
    metadata: dict[str, str] = {}
    for pair in (text or "").split(",") if text else []:
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in metadata:
            raise QurbaniError("bad_input", "the keys of Upload-Metadata must be unique printable ASCII")
        try:
            metadata[key] = _base64("Upload-Metadata", value).decode()
        except UnicodeDecodeError as error:
            raise QurbaniError("bad_input", f"Upload-Metadata {key} must be UTF-8") from error
    return metadata


def write_metadata(metadata: Mapping[str, str]) -> str:
    return ",".join(f"{key} {b64encode(value.encode()).decode()}".rstrip() for key, value in metadata.items())


def http_date(moment: datetime) -> str:
    """RFC 9110, 5.6.7."""
    return format_datetime(moment, usegmt=True)


def _base64(name: str, text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise QurbaniError("bad_input", f"{name} must carry base64") from error
