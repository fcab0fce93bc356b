"""Which bytes a Range header asks for."""

from __future__ import annotations

import pytest

from cloud.uploads.ranges import answer, wanted
from shared.errors import QurbaniError


@pytest.mark.parametrize(("header", "start", "stop"), [
    ("bytes=0-0", 0, 1),
    ("bytes=0-99", 0, 100),
    ("bytes=10-", 10, 100),
    ("bytes=-1", 99, 100),
    ("bytes=-500", 0, 100),
    ("bytes=90-5000", 90, 100),
    (" bytes=99-99 ", 99, 100),
])  # fmt: skip
def test_a_part(header: str, start: int, stop: int) -> None:
    assert wanted(header, 100) == (start, stop)


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=5-4", "items=0-1", "bytes=0-1,5-6", "bytes=a-b", "0-1"])
def test_what_is_not_understood_gets_the_whole_file(header: str | None) -> None:
    assert wanted(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_outside_the_file(header: str) -> None:
    with pytest.raises(QurbaniError) as caught:
        wanted(header, 100)
    assert (caught.value.kind.status, caught.value.facts) == (416, {"size": 100})


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1"])
def test_an_empty_file_has_no_parts(header: str) -> None:
    with pytest.raises(QurbaniError, match="bad_range"):
        wanted(header, 0)


def test_the_answer_names_its_part() -> None:
    part = answer({"range": "bytes=10-19"}, '"v1"', 100)
    assert (part.status, part.start, part.stop) == (206, 10, 20)
    assert part.headers == {
        "Accept-Ranges": "bytes", "ETag": '"v1"', "Content-Length": "10", "Content-Range": "bytes 10-19/100",
    }  # fmt: skip


def test_a_part_of_another_version_is_not_sent() -> None:
    asked = {"range": "bytes=10-19", "if-range": '"v0"'}
    assert (answer(asked, '"v1"', 100).status, answer(asked, '"v0"', 100).status) == (200, 206)


def test_who_has_the_file_gets_no_bytes() -> None:
    assert answer({"if-none-match": '"v0", "v1"'}, '"v1"', 100).status == 304
