"""A note behind a PDF comes out as it went in, and with any bit another, not at all."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import papers
from shared.crypto import SigningKey
from shared.errors import QurbaniError
from shared.pdf_tail import attach, detach

KEY = SigningKey(bytes(32))
bodies = st.binary(max_size=200).map(lambda body: b"%PDF-1.4\n" + body + b"\nstartxref\n1234\n%%EOF\n")


class Facts(msgspec.Struct):
    sha256: str
    names: list[str]


def signed(pdf: bytes, names: list[str]) -> bytes:
    return papers.on_pdf(papers.sign(KEY, "trial", Facts(sha256(pdf).hexdigest(), names)), pdf)


@given(bodies, st.binary(max_size=300))
def test_what_goes_in_comes_out_and_readers_find_the_table(pdf: bytes, note: bytes) -> None:
    whole = attach(pdf, note)
    assert detach(whole) == (pdf, note)
    assert whole.startswith(pdf)
    assert whole.endswith(b"\nstartxref\n1234\n%%EOF\n")


@given(bodies, st.lists(st.text(max_size=10), max_size=3), st.data())
def test_any_bit_that_is_another_is_found(pdf: bytes, names: list[str], data: st.DataObject) -> None:
    whole = bytearray(signed(pdf, names))
    assert papers.read(bytes(whole)).checked() == KEY.public
    assert papers.read(bytes(whole)).facts["names"] == names
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8
    with pytest.raises(QurbaniError):
        papers.read(bytes(whole)).checked()


@pytest.mark.parametrize("raw", [b"", b"%PDF-1.4", b"%PDF-1.4\nstartxref\n1\n%%EOF", b"startxref\n1\n%%EOF\n"])
def test_what_has_no_note_has_none(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"PDF|note"):
        detach(raw)


def test_a_paper_does_not_vouch_for_another_pdf() -> None:
    one, two = (b"%PDF-1.4\n" + name + b"\nstartxref\n1\n%%EOF\n" for name in (b"one", b"two"))
    paper = papers.sign(KEY, "trial", Facts(sha256(one).hexdigest(), []))
    with pytest.raises(QurbaniError, match="bad_signature"):
        papers.read(papers.on_pdf(paper, two))
