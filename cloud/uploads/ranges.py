"""Byte ranges: which part of a file a request asks for, and how to answer it (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from shared.errors import QurbaniError

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Answer(msgspec.Struct, frozen=True):
    """A status, its headers, and the bytes to send: from ``start`` up to, without, ``stop``."""

    status: int
    headers: dict[str, str]
    start: int
    stop: int


def answer(asked: Mapping[str, str], etag: str, size: int) -> Answer:
    """How to answer a GET or HEAD with the headers ``asked`` for a file of ``size`` bytes.

    Raises ``bad_range`` where the range lies outside the file.
    """
    headers = {"Accept-Ranges": "bytes", "ETag": etag}
    if etag in asked.get("if-none-match", ""):
        return Answer(304, headers, 0, 0)
    # A part of this file is of no use to whoever has the beginning of another.
    part = wanted(asked.get("range"), size) if asked.get("if-range", etag) == etag else None
    if part is None:
        return Answer(200, headers | {"Content-Length": str(size)}, 0, size)
    start, stop = part
    headers |= {"Content-Length": str(stop - start), "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Answer(206, headers, start, stop)


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """The part that a ``Range`` header asks for, as (start, stop); None where the whole file is to be sent.

    A unit or form that we do not know, and several ranges at once, are ignored, as the standard allows. Raises
    ``bad_range`` where the range lies outside the file.
    """
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    if start >= stop:
        raise QurbaniError("bad_range", f"the file has {size} bytes", size=size)
    return start, stop
