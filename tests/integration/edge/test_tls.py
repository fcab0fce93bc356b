"""A box as tablets meet it that have never seen it: over the door, then over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from edge import tls
from tests.box import PIN, Box, running, until
from tests.hub import Hub, serving


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with serving(Hub()) as hub, running(
        tmp_path_factory.mktemp("box"), hub, QURBANI_EDGE_TLS="true", QURBANI_EDGE_NAMES="yard.lan"
    ) as (box, _, _):
        yield box


@pytest.fixture
def newcomer(box: Box) -> Iterator[httpx.Client]:
    """Over plain HTTP, at the door."""
    with httpx.Client(base_url=box.where["door"]) as http:
        yield http


def trusting(pem: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def test_the_way_in_of_a_new_tablet(box: Box, newcomer: httpx.Client) -> None:
    page = newcomer.get("/", headers={"Accept-Language": "ar"})
    assert page.status_code == 200
    assert 'lang="ar" dir="rtl"' in page.text
    assert box.where["url"] in page.text
    assert box.where["fingerprint"] in page.text
    file = newcomer.get("/qurbani-box.crt")
    assert file.headers["content-type"] == "application/x-x509-ca-cert"
    with httpx.Client(verify=trusting(file.content)) as tablet:
        assert tablet.get(f"{box.where['url']}/sign-in").status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{box.where['url']}/sign-in")


@pytest.mark.parametrize("path", ["/animals", "/api/v1/executors", "/sign-in", "/health/live"])
def test_the_door_tells_nothing_but_the_way_in(box: Box, newcomer: httpx.Client, path: str) -> None:
    answer = newcomer.get(path)
    assert f'href="{box.where["url"]}{path}"' in answer.text
    assert "Yusuf" not in answer.text
    assert newcomer.post("/api/v1/session", json={"pin": PIN}).status_code == 404


def test_an_inside_address_without_tls_is_refused(box: Box) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(box.where["url"].replace("https", "http") + "/sign-in")


def test_only_new_tls(box: Box) -> None:
    context = trusting(Path(box.where["authority"]).read_bytes())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA256:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA")
    with httpx.Client(verify=context) as http, pytest.raises(httpx.ConnectError):
        http.get(f"{box.where['url']}/health/live")


def test_a_page_s_session_is_bound_to_the_host_and_to_tls(box: Box) -> None:
    with httpx.Client(base_url=box.where["url"], verify=trusting(Path(box.where["authority"]).read_bytes())) as http:
        who = http.get("/api/v1/executors").json()[0]["id"]
        answer = http.post("/sign-in", data={"executor_id": who, "pin": PIN}, headers={"Sec-Fetch-Site": "same-origin"})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-session=")
        assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert http.get("/animals").status_code == 200
        # Browsers would otherwise insist on TLS at the door, too.
        assert "strict-transport-security" not in answer.headers


def test_events_come_over_tls(box: Box) -> None:
    context = trusting(Path(box.where["authority"]).read_bytes())
    token = sign_in(box, context)
    url = f"{box.where['url'].replace('https', 'wss')}/api/v1/events?after=0"
    with connect(url, ssl=context, additional_headers={"Authorization": f"Bearer {token}"}) as events:
        assert "cursor" in str(events.recv(timeout=30))


def test_a_new_name_is_answered_to_without_a_restart(box: Box) -> None:
    """An address that the network gives changes; here the certificate that lacks it is the one that is taken away."""
    front, context = box.folder / "keys" / tls.FRONT, trusting(Path(box.where["authority"]).read_bytes())
    before = tls.certificate(front)
    pid = box.children()["api"]
    front.unlink()
    until(front.exists, 60, "the new certificate")
    with httpx.Client(verify=context) as http:
        until(lambda: http.get(f"{box.where['url']}/health/live").is_success)
    assert tls.certificate(front).serial_number != before.serial_number
    assert box.children()["api"] == pid


def test_status_and_doctor_tell_of_it(box: Box) -> None:
    told = box.command("status").stdout
    assert box.where["url"].partition("//")[2] in told.replace("\n", "")
    assert "certificate" in box.command("doctor").stdout


def test_plain_http_stays_inside_the_machine(tmp_path: Path) -> None:
    with serving(Hub()) as hub:
        box = Box(tmp_path, hub, QURBANI_EDGE_TLS="false", QURBANI_EDGE_HOST="0.0.0.0")
        box.enrol()
        done = box.command("serve", check=False)
    assert done.returncode != 0
    assert "QURBANI_EDGE_TLS" in done.stderr
    assert "Traceback" not in done.stderr


def sign_in(box: Box, context: ssl.SSLContext) -> str:
    with httpx.Client(base_url=box.where["url"], verify=context) as http:
        who = http.get("/api/v1/executors").json()[0]["id"]
        return str(http.post("/api/v1/session", json={"executor_id": who, "pin": PIN}).json()["token"])
