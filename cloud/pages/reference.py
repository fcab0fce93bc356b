"""The reference of the interface at ``/api-docs``: Scalar, whose script is served from here.

The wheel of ``flask-openapi-scalar`` carries the script as one file. Nothing of that package is imported, and nothing
is asked of any other host: no fonts, no proxy for requests, no telemetry.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.response import File
from litestar.router import Router

from cloud.pages.plugins import as_asked
from cloud.platform.access import ANYONE
from cloud.platform.openapi import Document
from cloud.platform.settings import Settings
from shared.pages.assets import FOR_GOOD
from shared.pages.look import Look

PACKAGE = "flask-openapi-scalar"
SCRIPT = "flask_openapi_scalar/templates/scalar/js/scalar.standalone.js"

OPTIONS = {
    "agent": {"disabled": True},
    "hideClientButton": True,
    "mcp": {"disabled": True},
    "persistAuth": False,
    "proxyUrl": "",
    "showDeveloperTools": "never",
    "telemetry": False,
    "withDefaultFonts": False,
}

CSP = (
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:; connect-src 'self'"
)
"""Scalar writes styles into attributes, which no nonce can allow. No script but the one from here is run."""

STAFF = ("admin", "auditor")
"""Who reads it, unless the hub says that everybody may."""

_look = Look(Path(__file__).parent / "templates")


def config(settings: Settings) -> OpenAPIConfig:
    """The document of all routes as JSON, and the page that shows it."""
    return OpenAPIConfig(
        title="Qurbani",
        version="1",
        render_plugins=[Document(), Reference()],
        openapi_router=Router(
            "/api-docs", route_handlers=[], include_in_schema=False,
            opt={"roles": (ANYONE,) if settings.open_docs else STAFF},
            response_headers={"Content-Security-Policy": CSP}, exception_handlers={Exception: as_asked},
        ),
    )  # fmt: skip


class Reference(OpenAPIRenderPlugin):
    """The page, and the script under an address that changes with its version."""

    def __init__(self) -> None:
        super().__init__(path="/")
        self._package = _installed()
        self._script = f"/scalar-{self._package.version}.js" if self._package else ""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        facts = {"package": PACKAGE, "script": self._script, "options": msgspec.json.encode(OPTIONS).decode()}
        return _look.render("reference.html", "en", **facts).encode()

    def receive_router(self, router: Router) -> None:
        if self._package:
            router.register(_serving(Path(str(self._package.locate_file(SCRIPT))), self._script))


def _serving(path: Path, address: str) -> Any:
    @get(address, include_in_schema=False, sync_to_thread=False)
    def script() -> File:
        headers = {"Cache-Control": FOR_GOOD.to_header()}
        return File(path, media_type="text/javascript", content_disposition_type="inline", headers=headers)

    return script


def _installed() -> Distribution | None:
    return next(iter(distributions(name=PACKAGE)), None)
