"""Cards, through a server that speaks what Stripe documents: tills, refunds, and signed calls in any order."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec
import pytest

from cloud import main
from demo.answers import wait_for
from tests.cloud_hub import CloudHub, Person, running

KEY, SECRET = "sk_test_of_ours", "whsec_of_ours"
CALLS = "/api/v1/payments/stripe"


class Stripe(ThreadingHTTPServer):
    """Checkout Sessions and Refunds. The same ``Idempotency-Key`` again gets the same answer; ``down`` answers 500."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.down = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Stripe

    def do_POST(self) -> None:
        form = {name: values[0] for name, values in parse_qs(self._body()).items()}
        basic = httpx.BasicAuth(KEY, "")._auth_header
        if self.headers["authorization"] != basic:
            return self._answer(401, {"error": {"type": "invalid_request_error"}})
        if self.server.down:
            return self._answer(500, {"error": {"type": "api_error"}})
        self.server.asked.append((self.path, form))
        made = self.server.answers.setdefault(self.headers["idempotency-key"], self._make(form))
        return self._answer(200, made)

    def _make(self, form: dict[str, str]) -> dict[str, Any]:
        id = secrets.token_hex(12)
        if self.path == "/v1/refunds":
            return {"id": f"re_{id}", "object": "refund", "status": "succeeded", **form}
        return {
            "id": f"cs_test_{id}", "object": "checkout.session", "url": f"https://checkout.example/{id}",
            "payment_status": "unpaid", "payment_intent": None, "status": "open", "mode": form["mode"],
            "client_reference_id": form["client_reference_id"],
            "amount_total": int(form["line_items[0][price_data][unit_amount]"]),
            "currency": form["line_items[0][price_data][currency]"],
        }  # fmt: skip

    def _body(self) -> str:
        return self.rfile.read(int(self.headers["content-length"])).decode()

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def stripe() -> Iterator[Stripe]:
    with Stripe() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def shop(hub: CloudHub, stripe: Stripe) -> Iterator[CloudHub]:
    """A hub that takes cards, on the same database."""
    cards = {"stripe_key": KEY, "stripe_secret": SECRET, "stripe_url": stripe.url}
    settings = msgspec.structs.replace(hub.platform.settings, **cards)
    with running(settings, main.work, admin=f"{secrets.token_hex(6)}@example.org") as shop:
        shop.admin.ask("PUT", "/api/v1/prices", {"species": "goat", "currency": "EUR", "animal": 15_000})
        yield shop


@pytest.fixture
def donor(shop: CloudHub) -> Person:
    return shop.donor()


def ordered(donor: Person, **more: Any) -> dict[str, Any]:
    body = {"species": "goat", "currency": "EUR", "shares": [{"name": "Zohra", "language": "fr"}], **more}
    order: dict[str, Any] = donor.post("/api/v1/orders", body)
    return order


def till(donor: Person, stripe: Stripe, order: dict[str, Any]) -> dict[str, Any]:
    """The session that was made for the donor."""
    opened = donor.post(f"/api/v1/orders/{order['id']}/checkout")
    return next(made for made in stripe.answers.values() if made["id"] == opened["id"] and made["url"] == opened["url"])


def event(kind: str, session: dict[str, Any], **more: Any) -> bytes:
    paid = {**session, "payment_status": "paid", "payment_intent": f"pi_{session['id']}", **more}
    told = {"id": f"evt_{secrets.token_hex(8)}", "object": "event", "type": f"checkout.session.{kind}",
            "api_version": "2026-01-28", "livemode": False, "data": {"object": paid}}  # fmt: skip
    return json.dumps(told).encode()


def signature(hub: CloudHub, body: bytes, secret: str = SECRET, age: timedelta = timedelta(0)) -> str:
    stamp = int((hub.platform.clock.now() - age).timestamp())
    v1 = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={'0' * 64},v1={v1},v0={'f' * 64}"


def call(hub: CloudHub, body: bytes, header: str | None = None) -> httpx.Response:
    told = signature(hub, body) if header is None else header
    return hub.stranger.http.post(CALLS, content=body, headers={"stripe-signature": told})


def of(donor: Person, order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = donor.get(f"/api/v1/orders/{order['id']}")
    return found


def accounts(donor: Person, order: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = donor.get(f"/api/v1/orders/{order['id']}/ledger")["accounts"]
    return found


def test_a_donor_pays_by_card_once_however_often_the_gateway_says_so(
    shop: CloudHub, stripe: Stripe, donor: Person
) -> None:
    order = ordered(donor)
    session = till(donor, stripe, order)
    assert till(donor, stripe, order) == session
    assert stripe.asked[-1] == ("/v1/checkout/sessions", {
        "mode": "payment", "client_reference_id": order["id"],
        "success_url": f"{shop.platform.settings.base_url}/orders/{order['id']}",
        "cancel_url": f"{shop.platform.settings.base_url}/orders/{order['id']}",
        "line_items[0][quantity]": "1", "line_items[0][price_data][currency]": "eur",
        "line_items[0][price_data][unit_amount]": "15000",
        "line_items[0][price_data][product_data][name]": order["reference"],
    })  # fmt: skip
    told = event("completed", session)
    with ThreadPoolExecutor(8) as calls:
        assert {answer.status_code for answer in calls.map(lambda _: call(shop, told), range(16))} == {204}
    assert of(donor, order)["state"] == "paid"
    assert accounts(donor, order) == {"donor": 0, "animal": -15_000, "card": 15_000}
    assert donor.post(f"/api/v1/orders/{order['id']}/checkout", status=409)["code"] == "bad_transition"


def test_what_takes_days_is_paid_when_it_is_paid_in_whichever_order_that_is_told(
    shop: CloudHub, stripe: Stripe, donor: Person
) -> None:
    slow, swapped = ordered(donor), ordered(donor)
    begun, done = (event("completed", till(donor, stripe, slow), payment_status="unpaid"),
                   event("async_payment_succeeded", till(donor, stripe, slow)))  # fmt: skip
    for told, state in ((begun, "placed"), (done, "paid"), (begun, "paid"), (done, "paid")):
        assert call(shop, told).status_code == 204
        assert of(donor, slow)["state"] == state
    session = till(donor, stripe, swapped)
    for kind, said in (("async_payment_succeeded", "paid"), ("completed", "unpaid"), ("completed", "paid"),
                       ("expired", "unpaid")):  # fmt: skip
        assert call(shop, event(kind, session, payment_status=said)).status_code == 204
    assert accounts(donor, swapped)["card"] == 15_000


def test_instalments_by_card_are_one_till_each(shop: CloudHub, stripe: Stripe, donor: Person) -> None:
    day = (shop.platform.clock.now() + timedelta(days=3)).date()
    plan = [{"due": str(day), "minor": 7_500}, {"due": str(day + timedelta(days=1)), "minor": 7_500}]
    order = ordered(donor, instalments=plan)
    for minor, state in ((7_500, "placed"), (7_500, "paid")):
        session = till(donor, stripe, order)
        assert session["amount_total"] == minor
        call(shop, event("completed", session))
        assert of(donor, order)["state"] == state


def test_money_for_an_order_that_was_called_off_goes_back_through_the_gateway(
    shop: CloudHub, stripe: Stripe, donor: Person
) -> None:
    order = ordered(donor)
    session = till(donor, stripe, order)
    donor.post(f"/api/v1/orders/{order['id']}/cancel")
    call(shop, event("completed", session))
    assert of(donor, order)["state"] == "cancelled"
    assert accounts(donor, order)["donor"] == -15_000
    shop.admin.post("/api/v1/refunds/approve", {"key": f"stripe:{session['id']}"})
    wait_for("the refund", lambda: accounts(donor, order)["card"] == 0)
    assert ("/v1/refunds", {"payment_intent": f"pi_{session['id']}"}) in stripe.asked
    assert set(accounts(donor, order).values()) == {0}


def test_only_stripes_own_calls_are_heard(shop: CloudHub, stripe: Stripe, donor: Person) -> None:
    order = ordered(donor)
    told = event("completed", till(donor, stripe, order))
    right = signature(shop, told)
    forged = [
        "", "t=1", "v1=00", "t=,v1=", "t=x,v1=00", right.replace("t=", "t=1"), right.replace("v1=", "v0="),
        signature(shop, told, "whsec_of_others"), signature(shop, told + b" "),
        signature(shop, told, age=timedelta(minutes=6)), signature(shop, told, age=timedelta(minutes=-6)),
    ]  # fmt: skip
    for header in forged:
        answer = call(shop, told, header)
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature"), header
    for body in (b"", b"[]", b'{"id": 1}', b'{"id": "evt", "type": "checkout.session.completed", "data": {}}'):
        assert call(shop, body).status_code == 400
    assert of(donor, order)["state"] == "placed"
    assert call(shop, told, signature(shop, told, age=timedelta(minutes=4))).status_code == 204
    assert of(donor, order)["state"] == "paid"


def test_without_the_gateway_nothing_breaks(shop: CloudHub, hub: CloudHub, stripe: Stripe, donor: Person) -> None:
    order = ordered(donor)
    stripe.down = True
    try:
        assert donor.post(f"/api/v1/orders/{order['id']}/checkout", status=503)["code"] == "unavailable"
    finally:
        stripe.down = False
    assert till(donor, stripe, order)["amount_total"] == 15_000
    hub.donor().post(f"/api/v1/orders/{order['id']}/checkout", status=404)
    assert call(hub, b"{}").status_code == 404  # this hub takes no cards
