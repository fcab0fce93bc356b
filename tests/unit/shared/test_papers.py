"""A paper says what was signed, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from shared import papers
from shared.crypto import SigningKey
from shared.errors import QurbaniError

KEY = SigningKey(bytes(32))


class Facts(msgspec.Struct):
    who: str
    when: datetime
    many: list[int]


PAPER = papers.sign(KEY, "trial", Facts("ليلى", datetime(2026, 5, 27, tzinfo=UTC), [1, 2]))


def test_it_is_checked_however_it_is_set() -> None:
    for text in (PAPER.text().encode(), msgspec.json.encode(PAPER), PAPER.text().replace("\n", " ").encode()):
        found = papers.read(text)
        assert found.checked() == KEY.public
        assert found.facts == {"who": "ليلى", "when": "2026-05-27T00:00:00Z", "many": [1, 2]}


@pytest.mark.parametrize("change", [
    ("trial", "other"), ("ليلى", "ليلي"), ("2026-05-27", "2026-05-28"), ("2\n", "3\n"),
    (KEY.public.raw.hex(), SigningKey(bytes([1]) * 32).public.raw.hex()), ('"signature": "', '"signature": "00'),
])  # fmt: skip
def test_one_sign_of_it_is_another_and_it_does_not_hold(change: tuple[str, str]) -> None:
    altered = PAPER.text().replace(*change)
    assert altered != PAPER.text()
    with pytest.raises(QurbaniError) as refused:
        papers.read(altered.encode()).checked()
    assert refused.value.code == "bad_signature"


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b"[" * 100_000, PAPER.text().encode()[:-10]])
def test_what_is_none_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(QurbaniError) as refused:
        papers.read(raw)
    assert refused.value.code == "not_a_paper"
