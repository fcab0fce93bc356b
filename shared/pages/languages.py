"""The languages that pages and messages speak."""

from __future__ import annotations

from collections.abc import Iterable

from babel import Locale
from babel.core import negotiate_locale

LANGUAGES = {"ar": "العربية", "fr": "Français", "en": "English"}
"""Every language by its code (BCP 47), under the name that it has for itself."""

SOURCE = "en"
"""What the templates are written in, and what is spoken to people who asked for none of the others."""


def direction(language: str) -> str:
    """``rtl`` or ``ltr``, as HTML's ``dir`` wants it."""
    return Locale(language).text_direction


def choose(wishes: Iterable[str]) -> str:
    """The first of ``wishes`` (BCP 47, most wanted first) that we speak, by its language alone: ``fr-CA`` is French."""
    bases = [wish.replace("_", "-").split("-")[0].lower() for wish in wishes]
    return negotiate_locale(bases, list(LANGUAGES)) or SOURCE


def accepted(header: str) -> list[str]:
    """The languages of an ``Accept-Language`` header (RFC 9110, 12.5.4), most wanted first; bad parts are left out."""
    weighted = []
    for part in header.split(","):
        tag, _, parameter = part.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if tag and weight > 0:
            weighted.append((-weight, tag))
    return [tag for _, tag in sorted(weighted, key=lambda found: found[0])]
