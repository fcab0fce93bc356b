"""Stripe behind the port: Checkout Sessions, Refunds, and webhooks with their signatures.

https://docs.stripe.com/api/checkout/sessions/create, https://docs.stripe.com/api/refunds/create and
https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec

from cloud.donors.gateway import Bill, Call, Till
from cloud.donors.schemas import Paid
from cloud.platform.settings import Settings
from shared.errors import QurbaniError

SIGNATURE = "stripe-signature"
TOLERANCE = timedelta(minutes=5)
"""How old a webhook may be: one that was overheard is of no use later."""
PATIENCE_S = 10
PAID = ("checkout.session.completed", "checkout.session.async_payment_succeeded")
"""The first also comes of payments that take days, with ``payment_status`` still ``unpaid``."""


class _Session(msgspec.Struct):
    """A Checkout Session, as far as it matters here."""

    id: str = ""
    url: str = ""
    client_reference_id: UUID | None = None
    payment_status: str = ""
    payment_intent: str | None = None
    amount_total: int | None = None
    currency: str | None = None


class _Event(msgspec.Struct):
    id: str
    type: str
    data: dict[str, Any]


class Stripe:
    """``key`` is the secret API key, ``secret`` that of the webhook endpoint (``whsec_...``)."""

    def __init__(self, settings: Settings) -> None:
        self._url, self._key, self._secret = settings.stripe_url, settings.stripe_key, settings.stripe_secret

    async def open_till(self, bill: Bill) -> Till:
        form = {
            "mode": "payment",
            "client_reference_id": str(bill.order_id),
            "success_url": bill.back,
            "cancel_url": bill.back,
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": bill.currency.lower(),
            "line_items[0][price_data][unit_amount]": str(bill.minor),
            "line_items[0][price_data][product_data][name]": bill.reference,
        }
        session = await self._ask("/v1/checkout/sessions", form, once=f"{bill.order_id}/{bill.paid}/{bill.minor}")
        return Till(session.id, session.url)

    async def pay_back(self, payment: Paid) -> None:
        await self._ask("/v1/refunds", {"payment_intent": payment.reference}, once=f"refund/{payment.key}")

    def read_call(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Call:
        self._check(headers.get(SIGNATURE, ""), body, now)
        try:
            event = msgspec.json.decode(body, type=_Event)
            if event.type not in PAID:
                return Call(event.id)
            session = msgspec.convert(event.data["object"], _Session, strict=False)
        except (msgspec.MsgspecError, KeyError) as error:
            raise QurbaniError("bad_input", f"no event of Stripe's: {error}") from error
        if session.payment_status != "paid" or not session.amount_total or not session.currency:
            return Call(event.id)
        paid = Paid(f"stripe:{session.id}", session.amount_total, session.currency.upper(),
                    session.payment_intent or "")  # fmt: skip
        return Call(event.id, session.client_reference_id, paid)

    def _check(self, header: str, body: bytes, now: datetime) -> None:
        """The header has a time and one signature for each secret that is in use: ``t=1,v1=ab,v1=cd,v0=...``."""
        parts = [part.partition("=") for part in header.split(",")]
        stamp = next((value for name, _, value in parts if name == "t"), "")
        told = [value for name, _, value in parts if name == "v1"]
        if not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 12:
            raise QurbaniError("bad_signature", "the call says not when it was made")
        right = hmac.new(self._secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        if not any(hmac.compare_digest(right.encode(), value.encode()) for value in told):
            raise QurbaniError("bad_signature", "the call is not Stripe's")
        if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
            raise QurbaniError("bad_signature", "the call is too old")

    async def _ask(self, path: str, form: dict[str, str], once: str) -> _Session:
        headers = {"Idempotency-Key": once}
        try:
            async with httpx.AsyncClient(base_url=self._url, auth=(self._key, ""), timeout=PATIENCE_S) as http:
                answer = await http.post(path, data=form, headers=headers)
        except httpx.HTTPError as error:
            raise QurbaniError("unavailable", f"Stripe does not answer: {type(error).__name__}") from error
        if answer.status_code in (409, 429) or answer.is_server_error:
            raise QurbaniError("unavailable", f"Stripe asks to try again ({answer.status_code})")
        if not answer.is_success:
            raise QurbaniError("bad_answer", f"Stripe refuses ({answer.status_code})")
        return msgspec.json.decode(answer.content, type=_Session)
