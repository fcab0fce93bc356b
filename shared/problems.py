"""Every error as an RFC 9457 problem document (``application/problem+json``).

``Litestar(exception_handlers=PROBLEM_HANDLERS, ...)`` is all the wiring; no route has its own ``try``.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from shared.errors import QurbaniError

MEDIA_TYPE = "application/problem+json"

_CODES = {
    400: "bad_input", 401: "not_signed_in", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
    409: "conflict", 413: "too_large", 415: "unsupported_media", 429: "too_many_requests", 503: "unavailable",
}
"""The row of the table that stands for an HTTP status the framework raised."""

_log = structlog.get_logger(__name__)


def as_qurbani_error(error: Exception) -> QurbaniError:
    """Any exception as one of the table. What is not known is ``internal`` and says nothing of its cause."""
    if isinstance(error, QurbaniError):
        return error
    if isinstance(error, msgspec.ValidationError | msgspec.DecodeError):
        return QurbaniError("bad_input", str(error))
    if isinstance(error, RecursionError) and "deserializing" in str(error):
        return QurbaniError("bad_input", "nested too deeply")
    if isinstance(error, HTTPException) and error.status_code in _CODES:
        facts = {"errors": error.extra} if error.extra else {}
        return QurbaniError(_CODES[error.status_code], error.detail, **facts)
    return QurbaniError("internal")


def problem_response(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """The answer to a request that failed with ``error``, and a log line when it is our fault."""
    ours = as_qurbani_error(error)
    if ours.kind.status == 500:
        _log.error("request_failed", code=ours.code, method=request.method, path=request.url.path, exc_info=error)
        # Whatever the detail says was written for the log; a stranger learns the code only.
        ours = QurbaniError(ours.code)
    elif ours.kind.status > 500:
        _log.warning("request_refused", code=ours.code, method=request.method, path=request.url.path,
                     detail=ours.detail)
    return Response(ours.problem(), status_code=ours.kind.status, media_type=MEDIA_TYPE,
                    headers=_headers(error, ours))


def _headers(error: Exception, ours: QurbaniError) -> dict[str, str]:
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if ours.kind.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")  # RFC 9110, 15.5.2: a 401 must say how to sign in
    if "retry_after" in ours.facts:
        headers.setdefault("Retry-After", str(math.ceil(ours.facts["retry_after"])))
    if ours.kind.status == 416:
        headers.setdefault("Content-Range", f"bytes */{ours.facts['size']}")  # RFC 9110, 15.5.17
    return {"Cache-Control": "no-store", **headers}


PROBLEM_HANDLERS: ExceptionHandlersMap = {HTTPException: problem_response, Exception: problem_response}
