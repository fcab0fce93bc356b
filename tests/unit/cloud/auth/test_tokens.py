"""Access tokens: what is ours, of this moment and whole, and nothing else."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud.auth.tokens import AUDIENCE, LIFE_S, TYPE, Tokens
from cloud.platform.access import Principal
from shared.clock import from_ms
from shared.errors import QurbaniError

SECRET = b"t" * 32
ISSUER = "https://hub.example"
NOW = from_ms(1_780_000_000_000)
WHO = Principal(UUID(int=7), "donor", "Amina", "fr")
TOKENS = Tokens(SECRET, ISSUER)
GOOD = TOKENS.issue(WHO, jti=UUID(int=1), now=NOW)
KEY = Ed25519PrivateKey.from_private_bytes(SECRET)
HEADER = jwt.get_unverified_header(GOOD)
CLAIMS: dict[str, Any] = jwt.decode(GOOD, options={"verify_signature": False})


def forged(key: Any = KEY, algorithm: str = "EdDSA", header: dict[str, Any] | None = None, **claims: Any) -> str:
    payload = msgspec.json.encode({name: value for name, value in (CLAIMS | claims).items() if value is not None})
    return jwt.PyJWS().encode(payload, key, algorithm=algorithm, headers={**HEADER, "alg": algorithm, **(header or {})})


def test_a_token_says_who_it_is() -> None:
    assert TOKENS.check(GOOD, NOW) == WHO
    assert HEADER["typ"] == TYPE
    assert CLAIMS["exp"] - CLAIMS["iat"] == LIFE_S <= 600


def test_a_token_lives_from_its_first_second_to_its_last() -> None:
    TOKENS.check(GOOD, NOW + timedelta(seconds=LIFE_S - 1))
    for moment in (NOW + timedelta(seconds=LIFE_S), NOW - timedelta(seconds=1)):
        with pytest.raises(QurbaniError, match="not_signed_in"):
            TOKENS.check(GOOD, moment)


PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
HEAD, BODY, SIGNATURE = GOOD.split(".")


def _segment(data: Any) -> str:
    return urlsafe_b64encode(msgspec.json.encode(data)).rstrip(b"=").decode()


@pytest.mark.parametrize("token", [
    "",
    "a.b.c",
    f"{HEAD}.{BODY}.",
    f"{HEAD}.{BODY}.{SIGNATURE[:-4]}AAAA",
    f"{HEAD}.{_segment(CLAIMS | {'role': 'admin'})}.{SIGNATURE}",
    f"{_segment({'alg': 'none', 'typ': TYPE})}.{BODY}.",
    forged(PUBLIC, "HS256"),
    forged(SECRET, "HS256"),
    forged(Ed25519PrivateKey.generate()),
    forged(header={"kid": "../../etc/passwd"}),
    forged(header={"kid": ""}),
    forged(header={"typ": "JWT"}),
    forged(header={"typ": "client-authentication+jwt"}),
    forged(iss="https://other.example"),
    forged(aud="another"),
    forged(aud=[AUDIENCE]),
    forged(sub="nobody"),
    forged(exp=None),
    forged(iat="now"),
    forged(role=None),
])
def test_what_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(QurbaniError) as refused:
        TOKENS.check(token, NOW)
    assert refused.value.code == "not_signed_in"


def test_the_forgeries_fail_for_what_was_forged() -> None:
    assert TOKENS.check(forged(), NOW) == WHO
