"""Stylesheets, pictures and scripts, under addresses that change with what they hold."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from litestar.datastructures import CacheControlHeader
from litestar.router import Router
from litestar.static_files import create_static_files_router

FOLDER = Path(__file__).parent / "assets"
URL = "/assets"

FOR_GOOD = CacheControlHeader(public=True, max_age=365 * 24 * 3600, immutable=True)


@cache
def version() -> str:
    """What all the files hold, in twelve digits. It stands in every address, so that modules find one another by
    relative paths, and browsers may keep each for good."""
    digest = sha256()
    for path in sorted(FOLDER.iterdir()):
        digest.update(path.name.encode() + b"\0" + sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a file. Raises ``FileNotFoundError`` where there is none: a page must not ask in vain."""
    if not (FOLDER / name).is_file():
        raise FileNotFoundError(FOLDER / name)
    return f"{URL}/{version()}/{name}"


def router(opt: dict[str, Any] | None = None) -> Router:
    """Serves the files to everybody; ``opt`` is the router's, for guards that ask for something there."""
    return create_static_files_router(
        f"{URL}/{version()}", [FOLDER], cache_control=FOR_GOOD, opt=opt, include_in_schema=False
    )
