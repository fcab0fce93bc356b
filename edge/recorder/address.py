"""Which cameras a box has, as ``QURBANI_EDGE_CAMERAS`` names them: ``NAME=ADDRESS``, separated by blanks.

``rtsp://`` and ``rtsps://`` addresses are those of the camera's manual, user and password included.
``v4l2:/dev/video0?size=1280x720&rate=25&format=mjpeg&sound=hw:1`` is a camera on a cable and, where it has one, the
ALSA name of its microphone. ``sim:`` is no camera at all: it films a clock (``sim:?size=320x180&rate=10``), and
``sim:/some/clip.mp4`` a file, over and over. A blank in a path is written ``%20``.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from shared.errors import QurbaniError

_NAME = re.compile(r"[\w-]{1,32}")
_KINDS = {"rtsp": "rtsp", "rtsps": "rtsp", "v4l2": "v4l2", "sim": "sim"}
_OPTIONS = {"rtsp": set(), "v4l2": {"size", "rate", "format", "sound"}, "sim": {"size", "rate"}}
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")


class Address(msgspec.Struct, frozen=True):
    """One camera. ``where`` is a URL, a device or a file; an RTSP one may hold a password, so it is never shown."""

    name: str
    kind: Literal["rtsp", "v4l2", "sim"]
    where: str
    options: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<camera {self.name}, {self.shown}>"

    @property
    def shown(self) -> str:
        """What may stand in a log. Of a URL the host alone: cameras want secrets in its path as well."""
        if self.kind != "rtsp":
            return f"{self.kind}:{self.where}"
        return f"rtsp://{urlsplit(self.where).hostname}"

    @property
    def size(self) -> tuple[int, int] | None:
        """Wanted width and height in pixels."""
        found = _SIZE.fullmatch(self.options.get("size", ""))
        return (int(found[1]), int(found[2])) if found else None


def parse(text: str) -> list[Address]:
    """The cameras that a setting names. Raises ``misconfigured``, without repeating what may hold a password."""
    found = [_one(number, item) for number, item in enumerate(text.split(), 1)]
    if len({address.name for address in found}) < len(found):
        raise _wrong("two cameras have one name")
    return found


def _one(number: int, item: str) -> Address:
    name, _, url = item.partition("=")
    if not _NAME.fullmatch(name) or not url:
        raise _wrong(f"camera {number} is not NAME=ADDRESS")
    try:
        parts = urlsplit(url)
        host, kind = parts.hostname, _KINDS.get(parts.scheme)
    except ValueError as error:
        raise _wrong(f"the address of {name} cannot be read") from error
    if kind == "rtsp":
        if not host:
            raise _wrong(f"the address of {name} names no host")
        return Address(name, "rtsp", url)
    options = dict(parse_qsl(parts.query))
    where = unquote(parts.path)
    if kind is None or (kind == "v4l2" and not where):
        raise _wrong(f"the address of {name} begins neither with rtsp://, rtsps://, v4l2:/dev/ nor sim:")
    if unknown := options.keys() - _OPTIONS[kind]:
        raise _wrong(f"{name}: {', '.join(sorted(unknown))} cannot be set there")
    address = Address(name, kind, where, options)  # type: ignore[arg-type]
    if ("size" in options and not address.size) or not options.get("rate", "1").isdigit():
        raise _wrong(f"{name}: a size is written 1280x720, a rate 25")
    return address


def _wrong(detail: str) -> QurbaniError:
    return QurbaniError("misconfigured", f"QURBANI_EDGE_CAMERAS: {detail}")
