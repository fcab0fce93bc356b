"""Access tokens: what is ours, of this moment and whole, and nothing else."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud.auth.tokens import AUDIENCE, LIFE_S, TYPE, AccessTokens
from shared.clock import from_ms
from shared.errors import QurbaniError

SECRET = b"t" * 32
ISSUER = "https://hub.example"
NOW = from_ms(1_780_000_000_000)
USER, SESSION = UUID(int=7), UUID(int=8)
TOKENS = AccessTokens(SECRET, ISSUER)
GOOD = TOKENS.issue(USER, SESSION, jti=UUID(int=1), now=NOW)
KEY = Ed25519PrivateKey.from_private_bytes(SECRET)
HEADER = jwt.get_unverified_header(GOOD)
CLAIMS: dict[str, Any] = jwt.decode(GOOD, options={"verify_signature": False})


def forged(key: Any = KEY, algorithm: str = "EdDSA", header: dict[str, Any] | None = None, **claims: Any) -> str:
    payload = msgspec.json.encode({name: value for name, value in (CLAIMS | claims).items() if value is not None})
    return jwt.PyJWS().encode(payload, key, algorithm=algorithm, headers={**HEADER, "alg": algorithm, **(header or {})})


def test_a_token_names_its_session_and_nothing_else_of_a_person() -> None:
    assert TOKENS.check(GOOD, NOW) == SESSION
    assert set(CLAIMS) == {"iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"}
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


def _raw(payload: bytes, key: Any = KEY) -> str:
    return jwt.PyJWS().encode(payload, key, algorithm="EdDSA", headers=HEADER)


def _resigned(change: Callable[[bytes], bytes]) -> str:
    """The good token with its signature altered."""
    raw = change(urlsafe_b64decode(SIGNATURE + "=="))
    return f"{HEAD}.{BODY}.{urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def _relabelled(token: str) -> str:
    """With the header of a good one."""
    return ".".join([HEAD, *token.split(".")[1:]])


ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of Ed25519's group: S and S + ORDER are the same scalar, but only the smaller is a signature (RFC 8032, 5.1.7)."""

OTHER = Ed25519PrivateKey.generate()
JWK = {"kty": "OKP", "crv": "Ed25519", "x": urlsafe_b64encode(OTHER.public_key().public_bytes_raw()).decode()}
LATER = CLAIMS["exp"] + 10**6


@pytest.mark.parametrize("token", [
    "",
    "a.b.c",
    f"{HEAD}.{BODY}",
    f"{HEAD}.{BODY}.",
    f"{HEAD}.{BODY}.{SIGNATURE}.{SIGNATURE}",
    f"{HEAD}.{BODY}.{SIGNATURE[:-4]}AAAA",
    f"{HEAD}.{_segment(CLAIMS | {'sid': str(UUID(int=9))})}.{SIGNATURE}",
    # another algorithm
    f"{_segment({'alg': 'none', 'typ': TYPE})}.{BODY}.",
    f"{_segment(HEADER | {'alg': 'none'})}.{BODY}.",
    f"{_segment(HEADER | {'alg': 'NONE'})}.{BODY}.{SIGNATURE}",
    f"{_segment(HEADER | {'alg': ''})}.{BODY}.{SIGNATURE}",
    forged(PUBLIC, "HS256"),
    forged(SECRET, "HS256"),
    forged(PUBLIC + SECRET, "HS512"),
    forged(ec.generate_private_key(ec.SECP256R1()), "ES256"),
    _relabelled(forged(ec.generate_private_key(ec.SECP256R1()), "ES256")),
    # another key
    forged(OTHER),
    forged(OTHER, header={"jwk": JWK}),
    forged(OTHER, header={"jku": "https://evil.example/keys"}),
    forged(OTHER, header={"x5u": "https://evil.example/chain"}),
    forged(OTHER, header={"kid": "../../dev/null"}),
    forged(header={"kid": "../../etc/passwd"}),
    forged(header={"kid": "' OR 1=1 --"}),
    forged(header={"kid": ""}),
    # another signature of the same
    _resigned(lambda raw: raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")),
    _resigned(lambda raw: bytes(64)),
    _resigned(lambda raw: raw + b"\0"),
    _resigned(lambda raw: bytes([raw[0] ^ 0x80]) + raw[1:]),
    # another kind, hub or time
    forged(header={"typ": "JWT"}),
    forged(header={"typ": "client-authentication+jwt"}),
    forged(header={"typ": "refresh+jwt"}),
    forged(header={"crit": ["exp"]}),
    forged(iss="https://other.example"),
    forged(iss=ISSUER + "/"),
    forged(aud="another"),
    forged(aud=[AUDIENCE]),
    forged(sid="nobody"),
    forged(sid=None),
    forged(sub=None),
    forged(exp=None),
    forged(exp="9999999999"),
    forged(nbf=LATER, exp=LATER + 600),
    forged(nbf=None),
    forged(iat="now"),
    _raw(msgspec.json.encode(CLAIMS)[:-1] + b',"iss":"https://other.example"}'),
    _raw(msgspec.json.encode(CLAIMS)[:-1] + b',"exp":0}'),
    _raw(b"[" * 10_000),
    _raw(b"\xff"),
], ids=map(str, count()))
def test_what_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(QurbaniError) as refused:
        TOKENS.check(token, NOW)
    assert refused.value.code == "not_signed_in"


def test_the_forgeries_fail_for_what_was_forged() -> None:
    assert TOKENS.check(forged(), NOW) == SESSION
