"""The message catalogues: one ``.po`` file (GNU gettext) for each language but the one the templates are in."""

from __future__ import annotations

import gettext
import io
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from shared.pages.languages import SOURCE

FOLDER = Path(__file__).parent / "catalogues"


def read(language: str) -> Catalog:
    """The catalogue as written, with its comments and gaps."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def translations(language: str) -> gettext.NullTranslations:
    """What gettext works with. Compiled here, in a few milliseconds, so that no built file can be out of date."""
    if language == SOURCE:
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
