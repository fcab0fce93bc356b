"""``qurbani cloud routes``: who may call what, from the routes that run; a section of docs/security.md."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from cloud import main
from cloud.platform.access import ANYONE, NODE, PROGRAMS, ROLES
from cloud.platform.audit import OWN_ROLES
from cloud.platform.core import opened
from cloud.platform.limits import limit_of
from cloud.platform.openapi import service_of
from cloud.platform.settings import Settings

HEADING = "## Who may do what"

HEAD = f"""\
{HEADING}

*Printed by `qurbani cloud routes`; `qurbani cloud routes --into docs/security.md` writes it here, and a test compares.*

Every route declares its roles, and one that declares none is closed to everybody and fails the build
(`cloud/platform/access.py`). `own` is who sees only what is theirs: somebody else's is answered like what is not there,
to the byte. A test made from the document of the interface asks every route as everybody, for what is theirs, somebody
else's, another site's and nobody's (`tests/integration/cloud/test_roles.py`). The last column is the limit that counts.
"""

OURS = ("cloud.", "shared.tus")

Route = tuple[str, str, HTTPRouteHandler]

COLUMNS = (*ROLES, *PROGRAMS, NODE)


def section() -> str:
    """The whole section, Markdown."""
    found = sorted(_routes(), key=lambda route: (service_of(route[2]), *route[:2]))
    tables = (_table(service, routes) for service, routes in groupby(found, lambda route: service_of(route[2])))
    return HEAD + "".join("\n" + table for table in tables)


def into(path: Path) -> None:
    """Put the section where it stands in a page of Markdown, or at its end."""
    before, _, rest = path.read_text().partition(HEADING)
    after = re.search(r"^## ", rest, re.MULTILINE)
    path.write_text(before.rstrip() + "\n\n" + section() + ("\n" + rest[after.start():] if after else ""))


def application() -> Litestar:
    """The hub's application, of which only the routes are looked at: it has no servers behind it."""

    async def built(data: str) -> Litestar:
        nowhere = {"database_url": "postgresql://127.0.0.1:1/x", "redis_url": "redis://127.0.0.1:1", "kafka": "-"}
        async with opened(Settings(**nowhere, data=data)) as platform:
            app = main.web(platform)
            while not isinstance(app, Litestar):
                app = app.app  # type: ignore[attr-defined]
            return app

    with TemporaryDirectory() as data:
        return asyncio.run(built(data))


def _routes() -> Iterator[Route]:
    for route in application().routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method not in ("OPTIONS", "HEAD") and handler.fn.__module__.startswith(OURS):
                    yield route.path_format, str(method), handler


def _table(service: str, routes: Iterable[Route]) -> str:
    lines = [f"| {service} | anyone | {' | '.join(COLUMNS)} | limit |", "|---" * (len(COLUMNS) + 3) + "|"]
    for path, method, handler in routes:
        roles = handler.opt["roles"]
        cells = ["✓" if ANYONE in roles else "", *(_cell(role, roles, path) for role in COLUMNS)]
        lines.append(f"| `{method} {path}` | {' | '.join(cells)} | {limit_of(handler, method)} |")
    return "\n".join(lines) + "\n"


def _cell(role: str, roles: Sequence[str], path: str) -> str:
    if ANYONE in roles:
        return "✓"
    return "" if role not in roles else "own" if role in OWN_ROLES and "_id}" in path else "✓"
