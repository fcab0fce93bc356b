"""The document of the interface (OpenAPI 3.1): what the framework reads off the routes, and what follows from the rest.

A route says who may call it, what it takes and what it answers. From that follows who has to prove what, which problems
there may be, and what an example of it is; nobody writes it twice.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from cloud.platform.access import ANYONE, NODE
from cloud.platform.limits import LIMITS, limit_of
from cloud.platform.samples import Samples
from shared.errors import TABLE, QurbaniError
from shared.problems import MEDIA_TYPE

Json = dict[str, Any]

TIME_OF_DAY = "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
SAFE = ("GET", "HEAD", "OPTIONS")

PROOFS: dict[str, Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "What signing in answers."},
    "page": {"type": "apiKey", "in": "cookie", "name": "__Host-session", "description": "What the pages sign in with."},
    "box": {
        "type": "http", "scheme": "bearer",
        "description": "The token of a box, with a proof of its key for every call; see `sync/PROTOCOL.md`.",
    },
}  # fmt: skip

LINK: Json = {"Link": {"schema": {"type": "string"}, "description": "Where the list goes on: `rel=\"next\"`."}}

PROBLEM: Json = {
    "type": "object",
    "description": "A problem (RFC 9457). Match on `code`, show `hint`, try again where `retry` says so.",
    "required": ["type", "code", "title", "status", "detail", "hint", "retry"],
    "properties": {
        "type": {"type": "string"}, "code": {"type": "string", "enum": sorted(TABLE)}, "title": {"type": "string"},
        "status": {"type": "integer"}, "detail": {"type": "string"}, "hint": {"type": "string"},
        "retry": {"type": "boolean"},
    },
    "examples": [QurbaniError("not_found").problem()],
}  # fmt: skip


class Document(JsonRenderPlugin):
    """The document at ``/openapi.json``."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json")
        self._rendered = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Json) -> bytes:
        self._rendered = self._rendered or self.render_json(request, document(request.app))
        return self._rendered


def document(app: Litestar) -> Json:
    """The document of all routes of ``app``."""
    told: Json = app.openapi_schema.to_schema()
    schemas: Json = told["components"]["schemas"]
    _mend_times(schemas)
    samples = Samples(schemas)
    for schema in schemas.values():
        schema["examples"] = [samples.of(schema)]
    tags: dict[str, str] = {}
    for path, method, handler in operations(app):
        tags.setdefault(service_of(handler), inspect.getdoc(sys.modules[handler.fn.__module__]) or "")
        _complete(told["paths"][path][method.lower()], method, handler, samples)
    schemas["Problem"] = PROBLEM
    told["components"]["securitySchemes"] = PROOFS
    told["tags"] = [{"name": name, "description": text} for name, text in tags.items()]
    return told


def operations(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """The path, as the document writes it, the method and the handler of all that it tells of."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if handler.resolve_include_in_schema():
                    yield route.path_format, str(method), handler


def service_of(handler: HTTPRouteHandler) -> str:
    return str(handler.fn.__module__.split(".")[1])


def problems_of(method: str, handler: HTTPRouteHandler, operation: Json) -> list[str]:
    """The codes that follow from what a route declares. What its service refuses besides says ``problems=``."""
    roles, limit = handler.opt.get("roles", ()), limit_of(handler, method)
    places = {parameter["in"] for parameter in operation.get("parameters", [])}
    found = {
        "bad_input": "requestBody" in operation or bool(places - {"path"}),
        "not_signed_in": ANYONE not in roles,
        "forbidden": ANYONE not in roles,
        "not_found": "path" in places,
        "conflict": method not in SAFE,
        "too_large": "requestBody" in operation,
        "too_many_requests": limit != "none" and roles != (NODE,),
        "unavailable": LIMITS[limit].closed,
    }
    return [*(code for code, applies in found.items() if applies), *handler.opt.get("problems", ())]


def _complete(operation: Json, method: str, handler: HTTPRouteHandler, samples: Samples) -> None:
    """Write into an operation of the document what its route declares."""
    roles = handler.opt.get("roles", ())
    words = inspect.getdoc(handler.fn) or ""
    who = "everybody" if ANYONE in roles else "boxes" if NODE in roles else ", ".join(roles)
    operation["summary"] = re.split(r"[.:;](?=\s|$)", words, maxsplit=1)[0].replace("``", "`")
    operation["description"] = f"{words}\n\nFor {who}.".replace("``", "`")
    operation["operationId"] = f"{service_of(handler)}.{handler.fn.__name__}" + (".head" if method == "HEAD" else "")
    operation["tags"] = [service_of(handler)]
    operation["security"] = [{proof: []} for proof in _proofs(roles)]
    for parameter in operation.get("parameters", []):
        parameter["example"] = samples.of(parameter["schema"], parameter["name"])
    answers = operation["responses"]
    answers.pop("400", None)  # the framework's own, which ours stand in for
    if any(parameter["name"] == "cursor" for parameter in operation.get("parameters", [])):
        answers["200"]["headers"] = LINK
    for content in (operation.get("requestBody", {}), *answers.values()):
        for told in content.get("content", {}).values():
            told["example"] = samples.of(told["schema"])
    answers |= _problems(problems_of(method, handler, operation))


def _mend_times(schema: Any) -> None:
    """The framework calls a time of day a duration. Those we take are local: RFC 3339 has no format for them."""
    inside = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for part in inside:
        _mend_times(part)
    if isinstance(schema, dict) and schema.get("format") == "duration":
        del schema["format"]
        schema["pattern"] = TIME_OF_DAY


def _proofs(roles: tuple[str, ...]) -> list[str]:
    return [] if ANYONE in roles else ["box"] if NODE in roles else ["bearer", "page"]


def _problems(codes: list[str]) -> Json:
    by_status: dict[str, list[str]] = {}
    for code in codes:
        by_status.setdefault(str(TABLE[code].status), []).append(code)
    return {status: _answer(some) for status, some in sorted(by_status.items())} | {"default": _answer(["internal"])}


def _answer(codes: list[str]) -> Json:
    examples = {code: {"summary": TABLE[code].title, "value": QurbaniError(code).problem()} for code in codes}
    told = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    return {"description": "; ".join(TABLE[code].title for code in codes), "content": {MEDIA_TYPE: told}}
