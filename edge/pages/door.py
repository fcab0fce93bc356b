"""What a tablet is told over plain HTTP, before it trusts the box: how to, and nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import uvicorn
from litestar import Litestar, MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect
from litestar.types import ASGIApp

from edge.tls import Authority
from shared.headers import SecurityHeaders
from shared.pages import assets
from shared.pages.look import Look
from shared.pages.visitor import here, language_cookie, language_of

AnyRequest = Request[Any, Any, Any]

CERTIFICATE = "/qurbani-box.crt"

_look = Look(Path(__file__).parent / "templates")


def make_door(authority: Authority, port: int) -> ASGIApp:
    """The application. ``port`` is where the box itself is, over TLS."""

    @get("/", sync_to_thread=False)
    def front(request: AnyRequest) -> Response[str]:
        return _page(request, authority, port)

    @get(CERTIFICATE, sync_to_thread=False)
    def certificate() -> Response[bytes]:
        """What a tablet has to trust; both kinds offer to install a file of this type."""
        named = {"Content-Disposition": 'attachment; filename="qurbani-box.crt"'}
        return Response(authority.pem, media_type="application/x-x509-ca-cert", headers=named)

    @get("/language/{language:str}", sync_to_thread=False)
    def speak(language: FromPath[str], to: Annotated[str, QueryParameter()] = "/") -> Redirect:
        return Redirect(here(to, "/"), status_code=303, cookies=[language_cookie(language, secure=False)])

    def anywhere(request: AnyRequest, _: Exception) -> Response[str]:
        """Whoever types an address of the box without its ``https`` is told the same, and is led to that address."""
        return _page(request, authority, port, 404)

    return SecurityHeaders(Litestar(
        [front, certificate, speak, assets.router()],
        exception_handlers={NotFoundException: anywhere}, openapi_config=None, logging_config=None,
    ), hsts=False)  # fmt: skip


@asynccontextmanager
async def open_door(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    """Serve ``app`` beside the server that this event loop already runs."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, server_header=False)
    server = _Beside(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield
    server.should_exit = True
    await serving


class _Beside(uvicorn.Server):
    """Leaves the signals of the process to the server that it runs beside."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _page(request: AnyRequest, authority: Authority, port: int, status_code: int = 200) -> Response[str]:
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or "localhost"
    inside = f"https://{f'[{host}]' if ':' in host else host}:{port}{request.url.path}"
    facts = {"inside": inside, "certificate": CERTIFICATE, "fingerprint": authority.fingerprint}
    html = _look.render("door.html", language_of(request, None), path=request.url.path, **facts)
    return Response(html, status_code=status_code, media_type=MediaType.HTML)
