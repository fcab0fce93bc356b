"""A verdict: how it travels, and what it tells people to do."""

from __future__ import annotations

import re
import zlib

import msgspec
import pytest

from shared.domain.verdict import CAUSES, Box, Frame, Model, Reason, ShareMatch, Verdict, Word, hint

FULL = Verdict(
    outcome="rejected",
    code="1",
    reasons=(Reason("name_not_said", "خديجة منصوري"), Reason("other_name_said", "Ahmed Benali", "Omar Bello")),
    shares=tuple(
        ShareMatch(f"Name Number {at}", "heard", 0.87, "said so", 1.5 * at, 1.5 * at + 1, str(1000 + at))
        for at in range(7)
    ),
    frames=tuple(
        Frame(at, 0.9, 0.8, 0.4, tuple(Box("animal", "sheep", 0.512, 0.123, 0.234, 0.345, 0.456) for _ in range(6)))
        for at in range(3)
    ),
    sampled=60,
    together=41,
    words=tuple(Word(f"word{at}", at / 3, at / 3 + 0.2, 0.913) for at in range(60)),
    seconds=60.02,
    detector=Model("yolox-nano-coco", "6518faf758f5"),
    recogniser=Model("whisper-tiny-en", "1a5afae06a4d"),
)


@pytest.mark.parametrize("wire", [msgspec.json, msgspec.msgpack])
def test_survives_the_wire(wire: object) -> None:
    assert wire.decode(wire.encode(FULL), type=Verdict) == FULL


def test_survives_as_plain_data() -> None:
    """Ops carry it as builtins, and a box may be older than the hub: unknown fields do no harm."""
    plain = msgspec.to_builtins(FULL) | {"invented_later": 1}
    assert msgspec.convert(plain, Verdict) == FULL


def test_is_small_on_the_wire() -> None:
    """A full verdict on a cow: seven shares, three frames, sixty words."""
    assert len(zlib.compress(msgspec.msgpack.encode(FULL))) < 2000


def test_every_cause_speaks_three_languages_about_the_same_things() -> None:
    for code, cause in CAUSES.items():
        blanks = [sorted(set(re.findall(r"{(\w+)}", text))) for text in (cause.en, cause.fr, cause.ar)]
        assert blanks[0] == blanks[1] == blanks[2], code
        assert re.search("[\u0600-\u06ff]", cause.ar), code
        assert cause.outcome in ("rejected", "review"), code


def test_hint_names_whom_it_is_about() -> None:
    reason = Reason("other_name_said", "Ahmed {Benali}", "Omar Bello")
    for language in ("en", "fr", "ar", "tr"):
        assert "Ahmed {Benali}" in hint(reason, language)
        assert "Omar Bello" in hint(reason, language)
    assert hint(reason, "tr") == hint(reason, "en") != hint(reason, "fr")
