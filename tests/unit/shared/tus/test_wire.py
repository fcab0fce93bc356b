"""What goes into headers comes out of them, and nothing else is taken for it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import QurbaniError
from shared.tus.wire import (
    Checksum,
    http_date,
    read_checksum,
    read_metadata,
    read_number,
    write_checksum,
    write_metadata,
)

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1)


@given(st.dictionaries(KEYS, st.text()))
@settings(deadline=None)
def test_metadata_survives_the_header(metadata: dict[str, str]) -> None:
    text = write_metadata(metadata)
    assert text.isascii()
    assert read_metadata(text) == metadata


@given(st.text())
@settings(deadline=None)
def test_any_other_metadata_is_refused_or_read(text: str) -> None:
    with suppress(QurbaniError):  # and nothing else
        metadata = read_metadata(text)
        assert read_metadata(write_metadata(metadata)) == metadata


def test_spaces_between_pairs_are_no_harm() -> None:
    assert read_metadata("a YQ==, b , c Yw==") == {"a": "a", "b": "", "c": "c"}
    assert read_metadata(None) == read_metadata("") == {}


@given(st.binary())
@settings(deadline=None)
def test_checksums_survive_the_header(data: bytes) -> None:
    assert read_checksum(write_checksum("sha1", data)) == Checksum("sha1", hashlib.sha1(data).digest())
    assert read_checksum(f"sha256 {b64encode(hashlib.sha256(data).digest()).decode()}") == (
        read_checksum(write_checksum("sha256", data)))


def test_numbers_are_digits() -> None:
    assert read_number("Upload-Length", "007") == 7
    assert read_number("Upload-Length", None) is None
    for bad in ("", " 1", "1 ", "-1", "+1", "1_0", "1.0", "٣", "²", "1" * 16):
        with pytest.raises(QurbaniError, match="Upload-Length"):
            read_number("Upload-Length", bad)


def test_dates_are_those_of_http() -> None:
    assert http_date(datetime(2026, 5, 27, 4, 5, 6, tzinfo=UTC)) == "Wed, 27 May 2026 04:05:06 GMT"
