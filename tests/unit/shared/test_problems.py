"""Whatever a route raises, the answer is one problem document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.exceptions import HTTPException, NotAuthorizedException, TooManyRequestsException
from litestar.params import FromPath, JSONBody
from litestar.testing import TestClient
from structlog.testing import capture_logs

from shared.errors import TABLE, QurbaniError
from shared.problems import PROBLEM_HANDLERS


class Share(msgspec.Struct):
    name: str
    count: int


RAISED: dict[str, Exception] = {
    "ours": QurbaniError("conflict", "the tag is taken", tag="A-17"),
    "retry": QurbaniError("too_many_requests", retry_after=2.2),
    "secret": RuntimeError("password=hunter2"),
    "setting": QurbaniError("misconfigured", "/etc/secret/path is not readable", path="/etc/secret/path"),
    "litestar": TooManyRequestsException("slow down", headers={"Retry-After": "9"}),
    "auth": NotAuthorizedException("no token", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}),
    "teapot": HTTPException("teapot=hunter2", status_code=418),
    "gateway": HTTPException("upstream=hunter2", status_code=502),
    "down": HTTPException("redis is away", status_code=503),
}


@get("/raise/{what:str}")
async def raising(what: FromPath[str]) -> None:
    raise RAISED[what]


@post("/share")
async def share(data: JSONBody[Share]) -> None:
    pass


@post("/raw")
async def raw() -> None:
    msgspec.json.decode(b'{"name": 1}', type=Share)


@pytest.fixture
def client() -> Iterator[TestClient[Litestar]]:
    app = Litestar([raising, share, raw], exception_handlers=PROBLEM_HANDLERS, openapi_config=None)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def problem(response: Any) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body["type"] == f"urn:qurbani:error:{body['code']}"
    assert {"title", "detail", "hint", "retry"} <= body.keys()
    return body


def test_our_own_errors_keep_code_detail_and_facts(client: TestClient[Litestar]) -> None:
    body = problem(client.get("/raise/ours"))
    assert (body["status"], body["code"], body["detail"], body["tag"]) == (409, "conflict", "the tag is taken", "A-17")


@pytest.mark.parametrize("what", ["secret", "setting", "teapot", "gateway"])
def test_a_500_says_nothing_of_its_cause(client: TestClient[Litestar], what: str) -> None:
    with capture_logs() as logs:
        response = client.get(f"/raise/{what}")
    body = problem(response)
    assert body["status"] == 500
    assert "hunter2" not in response.text
    assert "secret" not in response.text
    assert body["detail"] == TABLE[body["code"]].title
    assert [(line["event"], line["exc_info"]) for line in logs] == [("request_failed", RAISED[what])]


def test_headers_that_tell_the_client_what_to_do_survive(client: TestClient[Litestar]) -> None:
    assert client.get("/raise/retry").headers["retry-after"] == "3"
    assert client.get("/raise/litestar").headers["retry-after"] == "9"
    assert client.get("/raise/auth").headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "Bearer" in client.get("/raise/auth").headers["www-authenticate"]
    refused = client.delete("/share")
    assert refused.status_code == 405
    assert "POST" in refused.headers["allow"]
    assert problem(refused)["code"] == "method_not_allowed"


def test_bad_input_names_the_field(client: TestClient[Litestar]) -> None:
    body = problem(client.post("/share", json={"name": "A", "count": "seven"}))
    assert body["code"] == "bad_input"
    assert body["errors"][0]["key"] == "count"
    assert "`$.name`" in problem(client.post("/raw"))["detail"]
    assert problem(client.post("/share", content=b"{", headers={"content-type": "application/json"}))["status"] == 400


def test_unrouted_addresses_and_head_requests_answer_the_same_way(client: TestClient[Litestar]) -> None:
    assert problem(client.get("/nowhere"))["code"] == "not_found"
    assert client.head("/nowhere").status_code == 404


def test_what_is_only_away_for_now_is_logged_without_a_traceback(client: TestClient[Litestar]) -> None:
    with capture_logs() as logs:
        assert problem(client.get("/raise/down"))["code"] == "unavailable"
    assert [(line["event"], line["detail"]) for line in logs] == [("request_refused", "redis is away")]
    assert "exc_info" not in logs[0]


def test_client_errors_are_not_logged_as_ours(client: TestClient[Litestar]) -> None:
    with capture_logs() as logs:
        client.get("/nowhere")
        client.get("/raise/ours")
    assert logs == []
