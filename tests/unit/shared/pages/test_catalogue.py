"""Every message that a template or the code says is said in every language, with the same gaps filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

from shared.pages import catalogue
from shared.pages.languages import LANGUAGES, SOURCE

ROOT = Path(__file__).parents[4]
PARTS = ("shared/pages", "cloud", "edge")
METHODS = [("**/templates/**", "jinja2"), ("**.py", "python")]
OPTIONS = {"**/templates/**": {"extensions": "jinja2.ext.i18n", "trimmed": "true", "silent": "false"}}
GAP = re.compile(r"%\(\w+\)\w")

TRANSLATED = [language for language in LANGUAGES if language != SOURCE]


def said() -> Iterator[str]:
    for part in PARTS:
        for _, _, message, _, _ in extract_from_dir(ROOT / part, METHODS, OPTIONS):
            yield message if isinstance(message, str) else message[0]


@pytest.fixture(scope="module")
def messages() -> set[str]:
    return set(said())


def test_the_extractor_reads_every_kind_of_template(messages: set[str]) -> None:
    for known in ("Qurbani", "Order %(reference)s", "Watch it here:"):
        assert known in messages


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_lacks_a_translation_and_nothing_is_left_over(language: str, messages: set[str]) -> None:
    entries = {entry.id if isinstance(entry.id, str) else entry.id[0]: entry
               for entry in catalogue.read(language) if entry.id}
    translated = {key for key, entry in entries.items()
                  if not entry.fuzzy and all([entry.string] if isinstance(entry.string, str) else entry.string)}
    assert messages - translated == set(), f"add these to {language}.po"
    assert set(entries) - messages == set(), f"nobody says these any more: remove them from {language}.po"


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_have_the_gaps_of_their_source(language: str) -> None:
    for entry in catalogue.read(language):
        source = entry.id if isinstance(entry.id, str) else entry.id[-1]
        for text in [entry.string] if isinstance(entry.string, str) else entry.string:
            assert sorted(GAP.findall(text)) == sorted(GAP.findall(source)), source


def test_compiled_as_written() -> None:
    assert catalogue.translations("fr").gettext("Sign in") == "Se connecter"
    assert catalogue.translations("en").gettext("Sign in") == "Sign in"
