"""Bytes as a sequence of QR codes (ISO/IEC 18004) that one screen shows and another one's camera reads.

Each code holds a part, and says of what and the how manieth: ``QURBANI1:ID:INDEX:TOTAL:BASE32``. They may be seen in
any order, and again. All of it is of the alphanumeric mode, so that a part of 300 bytes is a code that a cheap camera
reads from a phone's screen.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from shared.errors import QurbaniError

if TYPE_CHECKING:
    from PIL import Image

PART_BYTES = 300
MAX_PARTS = 200
"""A minute in front of the camera; what is larger takes the stick."""

MAX_SIDE = 2000
"""Pixels of a picture to be looked at, in each direction."""

SHOWN_MS = 350
_MODULE_PIXELS = 8

_CODE = re.compile(r"QURBANI1:([0-9A-F]{16}):(\d{1,3}):(\d{1,3}):([A-Z2-7]{1,1000})")


class Progress(msgspec.Struct, frozen=True):
    """How many of the codes have been seen."""

    seen: int
    total: int


def parts(raw: bytes) -> list[str]:
    """The texts of the codes. Raises ``too_large``."""
    total = -(-len(raw) // PART_BYTES)
    if total > MAX_PARTS:
        raise QurbaniError("too_large", f"{len(raw)} bytes are too many codes: take a file on a stick")
    id, texts = _id(raw), []
    for index in range(total):
        piece = raw[index * PART_BYTES : (index + 1) * PART_BYTES]
        texts.append(f"QURBANI1:{id}:{index}:{total}:{base64.b32encode(piece).decode().rstrip('=')}")
    return texts


def film(texts: Sequence[str]) -> bytes:
    """A GIF that shows one code after the other, again and again: any phone plays it, wherever it came from."""
    from PIL import Image

    pictures = [_picture(text) for text in texts]
    side = max(picture.width for picture in pictures)
    frames = [Image.new("L", (side, side), 255) for _ in pictures]
    for frame, picture in zip(frames, pictures, strict=True):
        frame.paste(picture, ((side - picture.width) // 2,) * 2)
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=SHOWN_MS, loop=0)
    return out.getvalue()


def look(pixels: bytes, width: int) -> list[str]:
    """The texts of our codes in a picture: rows of ``width`` grey pixels, a byte each. Raises ``bad_input``."""
    import zxingcpp

    height, rest = divmod(len(pixels), max(width, 1))
    if rest or not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise QurbaniError("bad_input", "a picture has whole rows of at most 2000 pixels")
    kind = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    found = zxingcpp.read_barcodes(memoryview(pixels).cast("B", (height, width)), formats=kind)
    return [code.text for code in found if _CODE.fullmatch(code.text)]


class Gathering:
    """Puts parts together, of the few sequences that were seen last."""

    def __init__(self, sequences: int = 4) -> None:
        self._sequences = sequences
        self._seen: dict[tuple[str, int], dict[int, bytes]] = {}

    def add(self, text: str) -> Progress | bytes:
        """What has been seen of the sequence that ``text`` is of, or all of it: then it is forgotten.

        Raises ``bad_input`` for another text, ``damaged`` where the parts are not those of one sequence.
        """
        if not (match := _CODE.fullmatch(text)):
            raise QurbaniError("bad_input", "this is no code of ours")
        id, index, total = match[1], int(match[2]), int(match[3])
        if not index < total <= MAX_PARTS:
            raise QurbaniError("bad_input", "this code counts itself wrongly")
        try:
            part = base64.b32decode(match[4] + "=" * (-len(match[4]) % 8))
        except ValueError as error:
            raise QurbaniError("bad_input", "this code does not hold whole bytes") from error
        seen = self._seen[id, total] = self._seen.pop((id, total), {})
        if seen.setdefault(index, part) != part:
            del self._seen[id, total]
            raise QurbaniError("damaged", "two codes of one number differ; show them from the start")
        while len(self._seen) > self._sequences:
            del self._seen[next(iter(self._seen))]
        if len(seen) < total:
            return Progress(len(seen), total)
        del self._seen[id, total]
        whole = b"".join(seen[n] for n in range(total))
        if _id(whole) != id:
            raise QurbaniError("damaged", "the codes are not those that belong together")
        return whole


def picture_url(text: str) -> str:
    """One text as a QR code: a ``data:`` address of an SVG, for a page that is shown to a phone."""
    import zxingcpp

    drawn = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M").to_svg()
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()}"


def _id(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16].upper()


def _picture(text: str) -> Image.Image:
    import zxingcpp
    from PIL import Image

    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="L")
    drawn: Any = code.to_image(scale=_MODULE_PIXELS)  # a buffer, which its type does not say before Python 3.12
    pixels: Any = memoryview(drawn)
    height, width = pixels.shape
    return Image.frombytes("L", (width, height), pixels.tobytes())
