"""Which language a reader gets."""

from __future__ import annotations

import pytest

from shared.pages.languages import accepted, choose, direction


@pytest.mark.parametrize(("wishes", "spoken"), [
    (["fr-CA"], "fr"), (["ar_DZ"], "ar"), (["de", "fr"], "fr"), (["de"], "en"), ([], "en"), (["", "AR"], "ar"),
])  # fmt: skip
def test_the_first_wish_that_we_speak(wishes: list[str], spoken: str) -> None:
    assert choose(wishes) == spoken


@pytest.mark.parametrize(("header", "wishes"), [
    ("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", ["fr-CH", "fr", "en", "*"]),
    ("en;q=0.2,ar;q=0.7", ["ar", "en"]),
    ("en;q=0, fr", ["fr"]),
    ("", []),
    ("en;q=much, ;;, fr", ["fr"]),
])  # fmt: skip
def test_accept_language_by_weight(header: str, wishes: list[str]) -> None:
    assert accepted(header) == wishes


def test_arabic_runs_from_the_right() -> None:
    assert [direction(language) for language in ("ar", "fr", "en")] == ["rtl", "ltr", "ltr"]
