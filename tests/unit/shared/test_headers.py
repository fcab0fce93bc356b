"""The header set is on every answer, whatever made it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar, Request, get
from litestar.static_files import create_static_files_router
from litestar.testing import TestClient

from shared.headers import SecurityHeaders
from shared.problems import PROBLEM_HANDLERS


@get("/page", media_type="text/html")
async def page(request: Request) -> str:  # type: ignore[type-arg]
    return f"<script nonce={request.state.csp_nonce}></script>"


@get("/data")
async def data() -> dict[str, int]:
    return {"a": 1}


@get("/lean", media_type="application/vnd.example.lean")
async def lean() -> bytes:
    return b"1"


@get("/broken")
async def broken() -> None:
    raise RuntimeError


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:  # type: ignore[type-arg]
    (tmp_path / "worker.js").write_text("1")
    (tmp_path / "a.png").write_bytes(b"png")
    files = create_static_files_router("/files", [tmp_path], cache_control=None)
    app = Litestar([page, data, lean, broken, files], exception_handlers=PROBLEM_HANDLERS)
    wrapped = SecurityHeaders(app, lean={"application/vnd.example.lean"})
    with TestClient(wrapped, raise_server_exceptions=False) as client:  # type: ignore[arg-type]
        yield client


@pytest.mark.parametrize("path", ["/page", "/data", "/broken", "/nowhere", "/files/a.png", "/schema/openapi.json"])
def test_every_answer_carries_the_set(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["origin-agent-cluster"] == "?1"
    assert "camera=(self)" in headers["permissions-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"]
    assert len(headers.get_list("content-security-policy")) == 1


def test_a_page_gets_a_fresh_nonce_and_may_load_its_own_things(client: httpx.Client) -> None:
    first, second = client.get("/page"), client.get("/page")
    nonce = first.text.split("nonce=")[1].split(">")[0]
    assert f"script-src 'self' 'nonce-{nonce}'" in first.headers["content-security-policy"]
    assert "unsafe" not in first.headers["content-security-policy"]
    assert nonce not in second.headers["content-security-policy"]


def test_what_is_no_page_may_load_nothing_but_a_worker_script_may_fetch(client: httpx.Client) -> None:
    for path in ("/data", "/nowhere", "/broken", "/files/a.png"):
        assert client.get(path).headers["content-security-policy"].startswith("default-src 'none'")
    assert "connect-src 'self'" in client.get("/files/worker.js").headers["content-security-policy"]


def test_what_the_app_has_set_stays() -> None:
    @get("/video", response_headers={"Cache-Control": "private, max-age=60"})
    async def video() -> bytes:
        return b"v"

    with TestClient(SecurityHeaders(Litestar([video]))) as client:  # type: ignore[arg-type]
        assert client.get("/video").headers.get_list("cache-control") == ["private, max-age=60"]


def test_what_only_programs_read_carries_no_headers_for_browsers(client: TestClient) -> None:  # type: ignore[type-arg]
    headers = client.get("/lean").headers
    assert set(headers) == {"content-type", "content-length"}
