"""Makes ``certificate.ttf``: what certificates are written with, cut out of DejaVu Sans (see LICENSE beside it).

``python -m cloud.guests.fonts.make /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf``
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

TARGET = Path(__file__).parent / "certificate.ttf"
SCRIPTS = [
    (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x304), (0x1E00, 0x1EFF),  # Latin, as written from Dakar to Jakarta
    (0x400, 0x45F),  # Cyrillic
    (0x60C, 0x60C), (0x61B, 0x61F), (0x621, 0x65F), (0x660, 0x6D5), (0x6F0, 0x6F9),  # Arabic, Persian, Urdu
    (0x2010, 0x2026), (0x2066, 0x2069), (0x20AC, 0x20AC), (0xFEFF, 0xFEFF),
]  # fmt: skip


def make(source: Path) -> None:
    options = Options()
    options.layout_features = ["*"]
    options.hinting = False
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.notdef_outline = True
    font = TTFont(source)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[code for first, last in SCRIPTS for code in range(first, last + 1)])
    subsetter.subset(font)
    font["head"].modified = font["head"].created  # the same font makes the same file
    font.recalcTimestamp = False
    font.save(TARGET)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
