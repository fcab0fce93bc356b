"""How a certificate looks: one page, in the reader's language, as PDF."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from cloud.guests.schemas import Certified
from shared.pages.look import Look

FONT = Path(__file__).parent / "fonts" / "certificate.ttf"

INK, MUTED, GREEN = (22, 33, 27), (86, 99, 91), (11, 106, 74)
MARGIN_MM = 14
_SIZES = {"title": 30, "lead": 14, "names": 22, "facts": 12, "foot": 9.5}
_COLOURS = {"title": GREEN, "lead": MUTED, "names": INK, "facts": INK, "foot": MUTED}
_GAP_MM = 6
_LEADING = 0.62
"""Millimetres of a line for each point of its size."""

_look = Look(Path(__file__).parent / "templates")


def draw(facts: Certified, timezone: str) -> bytes:
    """The page of a certificate. The same facts make the same bytes."""
    text = _look.render("certificate.txt", facts.language, facts=facts, zone=ZoneInfo(timezone),
                        untold=facts.shares - len(facts.names))  # fmt: skip
    parts = dict(zip(_SIZES, (part.strip().splitlines() for part in text.split("\n\n")), strict=True))
    return _page(parts, facts.issued, facts.language)


def _page(parts: dict[str, list[str]], issued: datetime, language: str) -> bytes:
    pdf = FPDF(orientation="landscape", format="A4")
    pdf.set_creation_date(issued)
    pdf.set_title(parts["title"][0])
    pdf.set_lang(language)
    pdf.add_font("certificate", fname=FONT)
    pdf.set_text_shaping(use_shaping_engine=True)
    pdf.set_auto_page_break(auto=False)
    pdf.add_page()
    pdf.set_margin(MARGIN_MM + 10)
    _frame(pdf)
    sizes = _fitting(pdf, parts)
    pdf.set_y((pdf.h - _height(pdf, parts, sizes)) / 2)
    for name, lines in parts.items():
        _set(pdf, name, sizes)
        for line in lines:
            pdf.multi_cell(0, sizes[name] * _LEADING, line, align="C", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.ln(_GAP_MM)
    return bytes(pdf.output())


def _frame(pdf: FPDF) -> None:
    pdf.set_draw_color(*GREEN)
    for inset, width in ((MARGIN_MM - 4, 1.2), (MARGIN_MM - 1.5, 0.3)):
        pdf.set_line_width(width)
        pdf.rect(inset, inset, pdf.w - 2 * inset, pdf.h - 2 * inset)


def _fitting(pdf: FPDF, parts: dict[str, list[str]]) -> dict[str, float]:
    """The sizes with which all fits on one page: seventy names are written smaller."""
    room = pdf.h - 2 * (MARGIN_MM + 4)
    smaller = [{**_SIZES, "names": _SIZES["names"] * percent / 100} for percent in range(100, 20, -4)]
    first = bisect_left(smaller, True, key=lambda sizes: _height(pdf, parts, sizes) <= room)
    return smaller[min(first, len(smaller) - 1)]


def _height(pdf: FPDF, parts: dict[str, list[str]], sizes: dict[str, float]) -> float:
    total = 0.0
    for name, lines in parts.items():
        _set(pdf, name, sizes)
        for line in lines:
            total += pdf.multi_cell(0, sizes[name] * _LEADING, line, align="C", dry_run=True, output="HEIGHT")
        total += _GAP_MM
    return total


def _set(pdf: FPDF, name: str, sizes: dict[str, float]) -> None:
    pdf.set_font("certificate", size=sizes[name])
    pdf.set_text_color(*_COLOURS[name])


def written(ways: Iterable[str]) -> str:
    """The first way to write a name that these letters can write; else the first."""
    known, ways = _letters(), list(ways)
    return next((way for way in ways if known.issuperset(map(ord, way))), ways[0])


@cache
def _letters() -> frozenset[int]:
    with TTFont(FONT) as font:
        found: Sequence[int] = font.getBestCmap()
        return frozenset(found)
