"""What Prometheus reads of a process: how long requests take by route, and how often the cache helped."""

from __future__ import annotations

import base64
import os
import time
from hmac import compare_digest
from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from shared.errors import QurbaniError

LATENCY = Histogram(
    "qurbani_http_request_seconds", "How long requests took, until the last byte of the answer was sent.",
    ["route", "status"], buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)  # fmt: skip
CACHE = Counter("qurbani_cache_reads_total", "Reads that may be cached: hit, miss, or off without Redis.", ["result"])

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which processes count together, where they do; to be set before this is imported."""

MEDIA_TYPE = CONTENT_TYPE_LATEST


class Measured:
    """The middleware: takes the time of every request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            function = scope["route_handler"].fn
            route = f"{function.__module__.split('.')[1]}.{function.__name__}"
            LATENCY.labels(route, f"{status // 100}xx").observe(time.perf_counter() - began)


def watching(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """The guard of what only the watch may read. Raises ``not_found``: to others it is not there.

    With a password it is whoever sends that (HTTP Basic, any name); without one, who asks from this very machine and
    not through a proxy.
    """
    password = connection.app.state.platform.settings.metrics_password
    if password:
        scheme, _, told = connection.headers.get("authorization", "").partition(" ")
        is_theirs = scheme.lower() == "basic" and compare_digest(_password(told).encode(), password.encode())
    else:
        host = connection.client.host if connection.client else ""
        is_theirs = host in ("127.0.0.1", "::1") and "x-forwarded-for" not in connection.headers
    if not is_theirs:
        raise QurbaniError("not_found")


def _password(told: str) -> str:
    try:
        return base64.b64decode(told, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def exposition() -> str:
    """Of this process or, where several answer at one port, of all of them, those that have ended, too."""
    if SHARED not in os.environ:
        return generate_latest().decode()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry).decode()
