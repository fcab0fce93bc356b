"""Stylesheets and pictures, under addresses that change with what they hold."""

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

_FOR_GOOD = CacheControlHeader(public=True, max_age=365 * 24 * 3600, immutable=True)


@cache
def asset(name: str) -> str:
    """The address of a file. As a new one has another address, browsers may keep the old one for good."""
    version = sha256((FOLDER / name).read_bytes()).hexdigest()[:12]
    return f"{URL}/{name}?v={version}"


def router(opt: dict[str, Any] | None = None) -> Router:
    """Serves the files to everybody; ``opt`` is the router's, for guards that ask for something there."""
    return create_static_files_router(URL, [FOLDER], cache_control=_FOR_GOOD, opt=opt, include_in_schema=False)
