"""The tus server as routes of a Litestar app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from litestar import Request, Response, Router, delete, head, patch, post, route
from litestar.enums import HttpMethod, MediaType
from litestar.params import FromPath
from litestar.types import Guard

from shared.errors import QurbaniError
from shared.problems import problem_response
from shared.tus.intake import Disconnected
from shared.tus.server import Standing, UploadServer
from shared.tus.wire import (
    CHECKSUMS,
    CHUNK_TYPE,
    VERSION,
    http_date,
    read_checksum,
    read_metadata,
    read_number,
    write_metadata,
)

AnyRequest = Request[Any, Any, Any]
Principal = Callable[[AnyRequest], str]

_ALWAYS = {"Tus-Resumable": VERSION, "Cache-Control": "no-store"}


def tus_routes(server: UploadServer, *, path: str, principal: Principal, guards: Sequence[Guard] = ()) -> Router:
    """Routes under ``path`` for the uploads of ``server``.

    ``principal`` names who asks, and raises ``not_signed_in`` where nobody is: Litestar's own JWT middleware lets
    HEAD and OPTIONS pass unseen, and HEAD tells where an upload stands. Under a CSRF check the routes must be
    excluded, or the client must send its token.
    """

    @route(["/", "/{upload_id:str}"], http_method=HttpMethod.OPTIONS, status_code=204)
    async def options() -> Response[None]:
        """What this server knows of tus."""
        return Response(None, headers={
            **_ALWAYS,
            "Tus-Version": VERSION,
            "Tus-Extension": ",".join(server.extensions),
            "Tus-Max-Size": str(server.limits.max_size),
            "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
        })

    @post("/", status_code=201, request_max_body_size=None)
    async def create_upload(request: AnyRequest) -> Response[None]:
        """Begin an upload, or join parts into one."""
        _check_version(request)
        owner, headers = principal(request), request.headers
        metadata, concat = read_metadata(headers.get("upload-metadata")), headers.get("upload-concat", "")
        if concat.startswith("final;"):
            parts = [url.rstrip("/").rpartition("/")[2] for url in concat.removeprefix("final;").split()]
            standing = await server.concatenate(owner, parts, metadata, concat)
        else:
            standing = await server.create(owner, _length(request), metadata, concat=concat)
        if headers.get("content-type") == CHUNK_TYPE and standing.offset == 0 and not standing.upload.is_finished:
            standing = await server.append(
                owner, standing.upload.id, 0, _body(request), size=_size(request),
                checksum=read_checksum(headers.get("upload-checksum")))
        return _answer(standing, {"Location": f"{request.url.path.rstrip('/')}/{standing.upload.id}"})

    @head("/{upload_id:str}")
    async def upload_status(request: AnyRequest, upload_id: FromPath[str]) -> Response[None]:
        """Where an upload stands."""
        _check_version(request)
        standing = await server.status(principal(request), upload_id)
        upload = standing.upload
        length = {"Upload-Defer-Length": "1"} if upload.length is None else {"Upload-Length": str(upload.length)}
        metadata = {"Upload-Metadata": write_metadata(upload.metadata)} if upload.metadata else {}
        concat = {"Upload-Concat": upload.concat} if upload.concat else {}
        return _answer(standing, {**length, **metadata, **concat})

    @patch("/{upload_id:str}", status_code=204, request_max_body_size=None)
    async def append_to_upload(request: AnyRequest, upload_id: FromPath[str]) -> Response[None]:
        """Go on with an upload at Upload-Offset."""
        _check_version(request)
        owner, headers = principal(request), request.headers
        if headers.get("content-type") != CHUNK_TYPE:
            raise QurbaniError("unsupported_media", f"the body of an upload is {CHUNK_TYPE}")
        offset = read_number("Upload-Offset", headers.get("upload-offset"))
        if offset is None:
            raise QurbaniError("bad_input", "Upload-Offset is missing")
        standing = await server.append(
            owner, upload_id, offset, _body(request), size=_size(request),
            length=read_number("Upload-Length", headers.get("upload-length")),
            checksum=read_checksum(headers.get("upload-checksum")))
        return _answer(standing)

    @delete("/{upload_id:str}", status_code=204)
    async def terminate_upload(request: AnyRequest, upload_id: FromPath[str]) -> Response[None]:
        """Give an upload up."""
        _check_version(request)
        await server.terminate(principal(request), upload_id)
        return Response(None, headers=_ALWAYS)

    @post("/{upload_id:str}", status_code=204, request_max_body_size=None)
    async def override_method(request: AnyRequest, upload_id: FromPath[str]) -> Response[None]:
        """For those behind a proxy that knows neither PATCH nor DELETE."""
        methods = {"PATCH": append_to_upload, "DELETE": terminate_upload}
        method = methods.get(request.headers.get("x-http-method-override", ""))
        if method is None:
            raise QurbaniError("method_not_allowed", "POST here needs X-HTTP-Method-Override")
        answer: Response[None] = await method.fn(request, upload_id)
        return answer

    return Router(path, route_handlers=[
        options, create_upload, upload_status, append_to_upload, terminate_upload, override_method,
    ], guards=list(guards), exception_handlers={Exception: _problem}, tags=["uploads"])


def _check_version(request: AnyRequest) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise QurbaniError("wrong_version", f"this server speaks tus {VERSION}")


def _length(request: AnyRequest) -> int | None:
    length = read_number("Upload-Length", request.headers.get("upload-length"))
    if (length is None) != (request.headers.get("upload-defer-length") == "1"):
        raise QurbaniError("bad_input", "either Upload-Length or Upload-Defer-Length: 1 must be sent")
    return length


def _size(request: AnyRequest) -> int | None:
    return read_number("Content-Length", request.headers.get("content-length"))


async def _body(request: AnyRequest) -> AsyncIterator[bytes]:
    # Litestar's own stream() raises the same error for a cut connection as for a bug.
    is_more = True
    while is_more:
        event: Any = await request.receive()
        if event["type"] == "http.disconnect":
            raise Disconnected
        if event["body"]:
            yield event["body"]
        is_more = event["more_body"]


def _answer(standing: Standing, headers: Mapping[str, str] | None = None) -> Response[None]:
    offset, expires = str(standing.offset), http_date(standing.upload.expires)
    return Response(None, media_type=MediaType.TEXT, headers={
        **_ALWAYS, "Upload-Offset": offset, "Upload-Expires": expires, **(headers or {})})


def _problem(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    response = problem_response(request, error)
    response.headers.update({**_ALWAYS, "Tus-Version": VERSION})
    return response
