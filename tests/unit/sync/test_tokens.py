"""The proof of a box's identity: what is accepted, and each way to be refused."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError
from sync import tokens
from tests.unit.sync.chains import HUB_KEY, KEY, NODE

NOW_MS = 1_780_000_000_500
NOW_S = NOW_MS // 1000
JTI = UUID(int=0x71)
AUD = tokens.audience(HUB_KEY.public)


def forge(key: Any = None, *, alg: str = "EdDSA", headers: dict[str, Any] | None = None, **changed: Any) -> str:
    """An assertion as our own, but for what is ``changed``; None takes a claim away."""
    claims = {"iss": str(NODE), "sub": str(NODE), "aud": AUD, "iat": NOW_S, "exp": NOW_S + 30, "jti": str(JTI)}
    claims = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(claims, key or KEY.pem(), alg, headers={"typ": tokens.TYPE} | (headers or {}))


def verify(proof: str, key: VerifyKey = KEY.public, now_ms: int = NOW_MS) -> tokens.Proof:
    return tokens.verify(proof, NODE, key, AUD, now_ms=now_ms)


def test_a_box_proves_who_it_is() -> None:
    proof = tokens.assertion(KEY, NODE, AUD, now_ms=NOW_MS, jti=JTI)
    assert tokens.claimed_node(proof) == NODE
    assert verify(proof) == tokens.Proof(NODE, JTI, until_ms=(NOW_S + 30) * 1000 + tokens.SKEW_MS)
    assert verify(forge()) == verify(proof), "the tests' own assertion is a good one"


@pytest.mark.parametrize("off_ms", [-10_000, 0, 10_000, 30_000])
def test_clocks_may_differ_a_little(off_ms: int) -> None:
    verify(tokens.assertion(KEY, NODE, AUD, now_ms=NOW_S * 1000, jti=JTI), now_ms=NOW_S * 1000 + off_ms)


@pytest.mark.parametrize("off_ms", [-86_400_000, -10_001, 40_000, 86_400_000])
def test_a_box_with_a_wrong_clock_learns_the_hubs(off_ms: int) -> None:
    proof = tokens.assertion(KEY, NODE, AUD, now_ms=NOW_S * 1000, jti=JTI)
    with pytest.raises(QurbaniError) as refused:
        verify(proof, now_ms=NOW_S * 1000 + off_ms)
    assert (refused.value.code, refused.value.facts) == ("clock_skew", {"time_ms": NOW_S * 1000 + off_ms})
    verify(tokens.assertion(KEY, NODE, AUD, now_ms=refused.value.facts["time_ms"], jti=JTI),
           now_ms=NOW_S * 1000 + off_ms)


def _parts(**changed: Any) -> list[str]:
    head, body, sig = forge().split(".")
    return [changed.get("head", head), changed.get("body", body), changed.get("sig", sig)]


def _b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


EC_KEY = generate_private_key(SECP256R1())
FORGERIES = {
    "another key": forge(SigningKey(b"x" * 32).pem()),
    "no signature": ".".join(_parts(sig="")),
    "alg none": ".".join([_b64({"alg": "none", "typ": tokens.TYPE}), _parts()[1], ""]),
    "HMAC with the public key": forge(KEY.public.raw, alg="HS256"),
    "another curve": forge(EC_KEY, alg="ES256"),
    "a changed claim": ".".join(_parts(body=_b64({"sub": str(NODE)}))),
    "an access token's type": forge(headers={"typ": "at+jwt"}),
    "an unknown critical header": forge(headers={"crit": ["b64x"], "b64x": True}),
    "a detached payload": forge(headers={"b64": False, "crit": ["b64"]}),
    "for another hub": forge(aud=tokens.audience(KEY.public)),
    "for several hubs": forge(aud=[AUD, "urn:qurbani:hub:other"]),
    "of another box": forge(sub=str(UUID(int=9)), iss=str(UUID(int=9))),
    "issued by another": forge(iss=str(UUID(int=9))),
    "lives too long": forge(exp=NOW_S + 61),
    "ends before it begins": forge(exp=NOW_S - 1),
    "no id": forge(jti=None),
    "no end": forge(exp=None),
    "no beginning": forge(iat=None),
    "no audience": forge(aud=None),
    "a time as text": forge(exp=str(NOW_S + 30)),
    "a time as a fraction": forge(exp=NOW_S + 30.5),
    "not a token": "hello",
    "empty": "",
    "not ASCII": "é.é.é",
    "not JSON": "e30.aGVsbG8." + _parts()[2],
}


@pytest.mark.parametrize("proof", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forgery_is_refused(proof: str) -> None:
    with pytest.raises(QurbaniError) as refused:
        verify(proof)
    assert refused.value.code == "bad_assertion"


def test_the_token_request_is_the_form_of_the_rfc() -> None:
    proof = forge()
    assert tokens.from_form(tokens.to_form(proof)) == proof


@pytest.mark.parametrize("body", [
    b"", b"hello", b"\xff", b"grant_type=client_credentials",
    tokens.to_form("x") + b"&client_assertion=y", tokens.to_form("x").replace(b"credentials", b"secrets"),
    b"&".join(b"a=1" for _ in range(9)),
])
def test_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(QurbaniError) as refused:
        tokens.from_form(body)
    assert refused.value.code == "bad_input"
