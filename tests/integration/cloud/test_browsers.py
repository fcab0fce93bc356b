"""What keeps browsers and connections safe: headers on every answer, pages of other sites, limits of size and time."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from cloud.platform import limits, patience
from demo.answers import wait_for
from demo.servers import Servers
from tests.cloud_hub import CloudHub, copied_room, hub_settings, running
from tests.filmed import Filmed

ORDER = {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]}
ALLOWED = "https://partner.example"
FIXED = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
    "origin-agent-cluster": "?1", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff",
    "x-frame-options": "DENY", "x-dns-prefetch-control": "off", "x-download-options": "noopen",
    "x-permitted-cross-domain-policies": "none", "x-xss-protection": "0",
}  # fmt: skip


def check_set(headers: httpx.Headers) -> None:
    """The set of the header table, whatever the answer is."""
    assert {name: headers.get(name) for name in FIXED} == FIXED
    csp, permissions = headers["content-security-policy"], headers["permissions-policy"]
    assert "frame-ancestors 'none'" in csp
    assert "unsafe-inline" not in csp
    assert "https:" not in csp
    if headers.get("content-type", "").startswith("text/html"):
        assert "base-uri 'none'" in csp
        assert "'nonce-" in csp
    else:
        assert "'none'" in csp or "worker-src 'self'" in csp
    assert "camera=(self)" in permissions
    assert headers["cache-control"]
    assert "x-powered-by" not in headers
    assert not any(sign.isdigit() for sign in headers.get("server", ""))


def test_every_kind_of_answer_has_the_header_set(busy_hub: CloudHub, monkeypatch: pytest.MonkeyPatch) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    stranger, donor, order = busy_hub.stranger.http, film.donor.http, f"/api/v1/orders/{film.order_id}"
    asset = busy_hub.browser().get("/sign-in").text.partition('href="/assets/')[2].partition('"')[0]
    paid = {"key": "a-canary-key", "minor": 1, "currency": "EUR", "method": "cash"}
    kinds: list[tuple[int, Callable[[], httpx.Response]]] = [
        (200, lambda: stranger.get("/sign-in")),
        (200, lambda: stranger.get("/api/v1/prices")),
        (200, lambda: stranger.get(f"/assets/{asset}")),
        (200, lambda: donor.get(film.url())),
        (204, lambda: stranger.post("/api/v1/auth/sign-out", json={"refresh_token": "x"})),
        (206, lambda: donor.get(film.url(), headers={"range": "bytes=0-9"})),
        (303, lambda: stranger.get("/orders")),
        (304, lambda: donor.get(order, headers={"if-none-match": donor.get(order).headers["etag"]})),
        (400, lambda: donor.post("/api/v1/orders", json={})),
        (401, lambda: stranger.get("/api/v1/orders")),
        (403, lambda: donor.post(f"{order}/payments", json=paid)),
        (404, lambda: stranger.get("/nowhere")),
        (404, lambda: stranger.get("/api/v1/nowhere")),
        (405, lambda: stranger.delete("/api/v1/prices")),
        (413, lambda: donor.post("/api/v1/orders", content=b" " * 2_000_000)),
        (416, lambda: donor.get(film.url(), headers={"range": "bytes=999999999-"})),
        (422, lambda: reused(donor)),
        (429, lambda: refused(busy_hub.donor().http, monkeypatch)),
        (500, lambda: broken(busy_hub, donor)),
    ]  # fmt: skip
    for status, ask in kinds:
        answer = ask()
        assert answer.status_code == status, (status, answer.request.url, answer.text)
        check_set(answer.headers)
        if answer.status_code >= 400 and not answer.headers["content-type"].startswith("text/html"):
            assert answer.headers["content-type"] == "application/problem+json", answer.request.url


def reused(donor: httpx.Client) -> httpx.Response:
    keyed = {"idempotency-key": "the-same-for-two"}
    donor.post("/api/v1/orders", json=ORDER, headers=keyed)
    return donor.post("/api/v1/orders", json={**ORDER, "species": "goat"}, headers=keyed)


def broken(hub: CloudHub, donor: httpx.Client) -> httpx.Response:
    """What is answered where something fails of which nobody has thought."""
    table = "ALTER TABLE platform.answers"
    hub.run(lambda session: session.execute(text(f"{table} ADD CONSTRAINT broken CHECK (false) NOT VALID")))
    try:
        return donor.post("/api/v1/orders", json=ORDER, headers={"idempotency-key": "another-one"})
    finally:
        hub.run(lambda session: session.execute(text(f"{table} DROP CONSTRAINT broken")))


def refused(donor: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> httpx.Response:
    monkeypatch.setitem(limits.LIMITS, "read", limits.Limit(1 / 1000, 600))
    donor.get("/api/v1/prices")
    return donor.get("/api/v1/prices")


@pytest.fixture(scope="module")
def open_hub(servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    """A hub that pages of one other site may ask."""
    with copied_room(servers, template) as room:
        chosen = hub_settings(room, tmp_path_factory.mktemp("open"), QURBANI_CORS_ORIGINS=ALLOWED)
        with running(chosen) as hub:
            yield hub


def preflight(hub: CloudHub, origin: str, path: str = "/api/v1/orders") -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "POST",
             "access-control-request-headers": "authorization,content-type"}  # fmt: skip
    return hub.stranger.http.options(path, headers=asked)


def test_pages_of_an_allowed_origin_may_ask_with_a_token_and_never_with_a_cookie(open_hub: CloudHub) -> None:
    told = preflight(open_hub, ALLOWED)
    assert (told.status_code, told.headers["access-control-allow-origin"]) == (204, ALLOWED)
    assert "POST" in told.headers["access-control-allow-methods"]
    assert "authorization" in told.headers["access-control-allow-headers"]
    check_set(told.headers)
    theirs = {"origin": ALLOWED, "sec-fetch-site": "cross-site"}
    read = open_hub.donor().http.get("/api/v1/orders", headers=theirs)
    assert (read.status_code, read.headers["access-control-allow-origin"]) == (200, ALLOWED)
    assert read.headers["vary"] == "Origin"
    wrong = {"email": "nobody@example.org", "password": "not the right one"}
    assert open_hub.stranger.http.post("/api/v1/auth/sign-in", json=wrong, headers=theirs).status_code == 401
    cookie = {"cookie": f"session={open_hub.page_session(open_hub.donor().id)}"}
    answer = open_hub.stranger.http.post("/api/v1/orders", json=ORDER, headers={**theirs, **cookie})
    assert answer.status_code == 403
    for each in (told, read, answer):
        assert "access-control-allow-credentials" not in each.headers


@pytest.mark.parametrize("origin", [
    "null", "*", "http://partner.example", "https://partner.example.evil.example", "https://evilpartner.example",
    "https://sub.partner.example", "https://partner.example:8443", "https://partner.example/", "HTTPS://PARTNER.EXAMPLE",
    "https://partner.example, https://evil.example", "https://partner.example@evil.example", "file://", "",
])  # fmt: skip
def test_no_other_origin_is_reflected(open_hub: CloudHub, origin: str) -> None:
    read = open_hub.stranger.http.get("/api/v1/prices", headers={"origin": origin})
    for answer in (preflight(open_hub, origin), read):
        assert "access-control-allow-origin" not in answer.headers


def test_by_default_no_origin_is_allowed_and_pages_never_are(hub: CloudHub, open_hub: CloudHub) -> None:
    assert "access-control-allow-origin" not in preflight(hub, ALLOWED).headers
    assert "access-control-allow-origin" not in preflight(open_hub, ALLOWED, "/sign-in").headers


def test_every_route_has_a_limit_of_size(hub: CloudHub) -> None:
    """Also where the length is not told beforehand. What a route does not read, nobody keeps."""
    big = 2_000_000

    def pieces() -> Iterator[bytes]:
        for _ in range(big // 50_000):
            yield b" " * 50_000

    tried = 0
    document = hub.admin.get("/api-docs/openapi.json")
    for path, item in document["paths"].items():
        operation = item.get("post") or item.get("put") or item.get("patch")
        method = next((name for name in ("post", "put", "patch") if name in item), "")
        if not operation or "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        roles = operation["description"].rpartition("For ")[2]
        who = hub.admin if "admin" in roles or "everybody" in roles else hub.donor()
        named = {given["name"]: given["example"] for given in operation.get("parameters", []) if given["in"] == "path"}
        headers = {"content-type": "application/json"}
        for content in ((b" " * big, pieces()) if tried < 3 else (b" " * big,)):
            answer = who.http.request(method.upper(), path.format(**named), content=content, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), (path, answer.text)
        tried += 1
    assert tried > 20


class Slow:
    """A connection that sends what it is told, and shows what comes back until it is closed."""

    def __init__(self, hub: CloudHub, first: bytes) -> None:
        at = urlsplit(hub.url)
        self._socket = socket.create_connection((at.hostname, at.port), 10)
        self._socket.sendall(first)

    def drip(self, until: float) -> tuple[int, httpx.Headers, bytes, float]:
        """A byte now and then; the answer, and after how long it came."""
        began, held = time.monotonic(), b""
        self._socket.settimeout(0.1)
        while time.monotonic() < began + until:
            try:
                self._socket.sendall(b"x")
                piece = self._socket.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not piece:
                break
            held += piece
        self._socket.close()
        head, _, body = held.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines[1:]])  # type: ignore[misc]
        return int(lines[0].split()[1]), headers, body, time.monotonic() - began


@pytest.mark.parametrize("first", [
    b"GET /api/v1/", b"GET /api/v1/prices HTTP/1.1\r\nhost: a\r\nx: ",
    b"POST /api/v1/auth/sign-in HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{",
], ids=["line", "head", "body"])  # fmt: skip
def test_who_sends_too_slowly_is_told_so_and_the_connection_ends(
    hub: CloudHub, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(patience, "GRACE_S", 0.5)
    status, headers, body, took = Slow(hub, first).drip(8)
    assert (status, json.loads(body)["code"], headers["connection"]) == (408, "too_slow", "close")
    assert took < 6
    check_set(headers)


def test_who_sends_steadily_may_take_longer(hub: CloudHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "GRACE_S", 0.5)

    def steadily() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.2)
            yield b" " * 100

    headers = {"content-type": "application/json"}
    answer = hub.stranger.http.post("/api/v1/auth/sign-in", content=steadily(), headers=headers)
    assert answer.json()["code"] == "bad_input"


def test_what_is_no_http_is_refused_like_everything_else(hub: CloudHub) -> None:
    status, headers, body, _ = Slow(hub, b"GARBAGE\x00 /\r\n\r\n").drip(2)
    assert (status, headers["content-type"], json.loads(body)["code"]) == (400, "application/problem+json", "bad_input")
    check_set(headers)
