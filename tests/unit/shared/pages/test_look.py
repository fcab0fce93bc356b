"""Templates, filled in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from zoneinfo import ZoneInfo

import pytest
from jinja2 import UndefinedError

from shared.pages import assets
from shared.pages.assets import FOLDER, asset
from shared.pages.look import Look

SHEETS = ("look.css", "tablet.css")

NOON = datetime(2026, 5, 27, 12, 5, tzinfo=UTC)
NOUAKCHOTT, JAKARTA = ZoneInfo("Africa/Nouakchott"), ZoneInfo("Asia/Jakarta")


@pytest.fixture
def rendered(tmp_path: Path):
    """Renders one line of a template in a language."""

    def render(line: str, language: str = "en", suffix: str = "html", **facts: object) -> str:
        (tmp_path / f"line.{suffix}").write_text(line)
        return Look(tmp_path).render(f"line.{suffix}", language, **facts)

    return render


def test_a_name_is_escaped_and_keeps_its_own_direction(rendered) -> None:
    assert rendered("{{ name | bdi }}", name="<b>علي") == "<bdi>&lt;b&gt;علي</bdi>"
    assert rendered("{{ names | listed }}", names=["<i>", "B"]) == "<bdi>&lt;i&gt;</bdi> and <bdi>B</bdi>"


def test_a_name_in_plain_text_stands_between_isolates(rendered) -> None:
    assert rendered("{{ name | isolate }}", suffix="txt", name="علي & Co") == "\u2068علي & Co\u2069"


def test_lists_are_written_as_the_language_does(rendered) -> None:
    assert rendered("{{ names | listed }}", "fr", names=["A", "B", "C"]) == (
        "<bdi>A</bdi>, <bdi>B</bdi> et <bdi>C</bdi>"
    )


def test_times_in_the_zone_of_the_site(rendered) -> None:
    assert rendered("{{ t | day(z) }} {{ t | clock(z) }}", "fr", t=NOON, z=JAKARTA) == "27 mai 2026 19:05"
    assert rendered("{{ t | day(z) }}", "ar", t=NOON, z=NOUAKCHOTT) == "27 مايو 2026"


def test_a_place_in_a_video(rendered) -> None:
    assert rendered("{{ at | position }}", at=67.9) == "1:07"


def test_a_missing_fact_is_an_error_and_not_an_empty_place(rendered) -> None:
    with pytest.raises(UndefinedError):
        rendered("{{ nobody_gave_this }}")


def test_the_language_and_its_direction_are_on_the_page(rendered) -> None:
    page = '{% extends "base.html" %}{% block title %}T{% endblock %}{% block content %}{% endblock %}'
    assert '<html lang="ar" dir="rtl">' in rendered(page, "ar")
    assert "<title>T · Qurbani</title>" in rendered(page, "fr")


def test_an_asset_has_a_new_address_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = asset("look.css")
    assert re.fullmatch(r"/assets/[0-9a-f]{12}/look\.css", before)
    copytree(FOLDER, tmp_path / "assets")
    (tmp_path / "assets" / "look.css").write_text("a { color: red }")
    monkeypatch.setattr(assets, "FOLDER", tmp_path / "assets")
    assets.version.cache_clear()
    assert asset("look.css") != before
    monkeypatch.undo()
    assets.version.cache_clear()
    assert asset("look.css") == before


def test_an_asset_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        asset("nothing.css")


def test_the_stylesheet_knows_no_left_and_no_right() -> None:
    physical = re.compile(r"(?<![-\w])(margin|padding|border|inset)?-?(left|right)\s*:|text-align:\s*(left|right)")
    for name in SHEETS:
        assert physical.findall((FOLDER / name).read_text()) == [], name


def test_every_colour_and_size_comes_from_the_tokens() -> None:
    defined = set(re.findall(r"(--[\w-]+):", (FOLDER / "tokens.css").read_text()))
    for name in SHEETS:
        assert set(re.findall(r"var\((--[\w-]+)\)", (FOLDER / name).read_text())) <= defined, name


def test_the_dark_is_the_same_whether_the_device_or_the_reader_wants_it() -> None:
    lists = re.findall(r":root(?:\[data-theme=\"dark\"\]|:not\(\[data-theme\]\)) \{(.*?)\}",
                       (FOLDER / "tokens.css").read_text(), re.DOTALL)  # fmt: skip
    device, reader = (set(re.findall(r"--[\w-]+: [^;]+", each)) for each in lists)
    assert device == reader
