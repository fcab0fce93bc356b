"""Templates, filled in: the same look and the same words for pages and for mail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date as Date
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel.dates import format_date, format_time, format_timedelta
from babel.lists import format_list
from babel.numbers import format_currency, get_currency_precision
from babel.units import format_unit
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from shared.pages.assets import asset
from shared.pages.catalogue import translations
from shared.pages.languages import LANGUAGES, direction

SHARED = Path(__file__).parent / "templates"

# Unicode 6.3: what is between them keeps its own direction and disturbs nothing around it. HTML has <bdi>.
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


_BYTES = ("digital-byte", "digital-kilobyte", "digital-megabyte", "digital-gigabyte", "digital-terabyte")


class Look:
    """Renders the templates of ``folders`` over those that all parts share.

    A template sees ``language``, ``direction``, ``languages``, ``asset(name)``, gettext's functions, and the
    filters ``bdi``, ``isolate``, ``listed``, ``day``, ``clock``, ``date``, ``position``, ``size`` (of bytes), ``kilos``
    (of grams), ``money`` (of minor units), ``span`` (of seconds), ``lasting`` (about) and ``ago``; everything else
    comes from the caller. A name that nobody gave is an error, never an empty place on the page.
    """

    def __init__(self, *folders: Path) -> None:
        loader = ChoiceLoader([FileSystemLoader(folder) for folder in (*folders, SHARED)])
        self._environments = {language: _environment(loader, language) for language in LANGUAGES}

    def render(self, template: str, language: str, **facts: Any) -> str:
        return self._environments[language].get_template(template).render(facts)


def _environment(loader: ChoiceLoader, language: str) -> Environment:
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(("html", "svg")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {
        "language": language,
        "direction": direction(language),
        "languages": LANGUAGES,
        "asset": asset,
    }
    environment.filters |= {"bdi": bdi, "isolate": isolate, "position": position, **_of(language)}
    return environment


def bdi(text: str) -> Markup:
    """A name inside a page of another direction."""
    return Markup("<bdi>{}</bdi>").format(text)


def isolate(text: str) -> str:
    """A name inside plain text of another direction."""
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"


def position(seconds: float) -> str:
    """A place in a video: ``1:07``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _of(language: str) -> dict[str, Callable[..., str]]:
    """The filters that depend on the language: how it writes lists, days and hours."""

    def listed(names: Iterable[str]) -> Markup:
        return Markup(format_list([bdi(name) for name in names], locale=language))  # noqa: S704 - each is escaped

    def day(moment: datetime, zone: tzinfo) -> str:
        return format_date(moment.astimezone(zone).date(), "long", locale=language)

    def clock(moment: datetime, zone: tzinfo) -> str:
        return format_time(moment, "short", tzinfo=zone, locale=language)

    def size(count: int) -> str:
        scale = max(0, min(count.bit_length() - 1, 49)) // 10
        return format_unit(round(count / 1024**scale, 1 if scale > 2 else 0), _BYTES[scale], "short", locale=language)

    def date(day: Date) -> str:
        return format_date(day, "full", locale=language)

    def kilos(grams: int) -> str:
        return format_unit(round(grams / 1000, 1), "mass-kilogram", "short", locale=language)

    def span(seconds: float) -> str:
        minutes = round(seconds / 60)
        parts = [(minutes // 60, "duration-hour"), (minutes % 60, "duration-minute")]
        said = [format_unit(count, unit, "short", locale=language) for count, unit in parts if count]
        return " ".join(said) or format_unit(0, "duration-minute", "short", locale=language)

    def lasting(seconds: float) -> str:
        return format_timedelta(timedelta(seconds=seconds), locale=language)

    def money(minor: int, currency: str) -> str:
        whole = Decimal(minor).scaleb(-get_currency_precision(currency))
        return format_currency(whole, currency, locale=language)

    def ago(seconds: float) -> str:
        return format_timedelta(timedelta(seconds=-seconds), add_direction=True, locale=language)

    return {"listed": listed, "day": day, "clock": clock, "date": date, "size": size, "kilos": kilos, "span": span,
            "lasting": lasting, "ago": ago, "money": money}
