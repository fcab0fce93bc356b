"""How a box proves who it is: a client assertion (RFC 7523, ``private_key_jwt``) for a short-lived access token.

The assertion is a JWT signed with the box's Ed25519 key (RFC 8037). Its audience is the hub's key, not the
hub's address, so that it means one hub over every road and cannot be carried to another. Times are compared
here with a time that is handed in; the JWT library would ask the machine's clock.

The token is bound to the same key (RFC 7800): every call that uses it carries a proof of possession, a
signature over method, path, token and moment, so that a token that leaks is of no use to whoever finds it. That
is what DPoP does (RFC 9449) without repeating the key and two JWT headers in every call of a slow line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Literal
from urllib.parse import parse_qs, urlencode
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt import PyJWS, PyJWTError

from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError
from sync.ops import encode

LIFE_S = 60
"""The longest life of an assertion; those we make live half of it."""
SKEW_MS = 10_000
"""How far the clocks of box and hub may be apart."""
PROOF_LIFE_MS = 60_000
"""How long after it was made a proof of possession is taken: a call may be long on its way."""
PROOF = "qurbani-proof"
"""The header of the proof."""
TYPE = "client-authentication+jwt"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"

_POSSESSED = b"qurbani/proof/1\0"
_jws = PyJWS(algorithms=["EdDSA"])


class Token(msgspec.Struct, frozen=True):
    """The hub's answer (RFC 6749, section 5.1): a bearer token and its life in seconds."""

    access_token: str
    expires_in: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token, not a secret


class Proof(msgspec.Struct, frozen=True):
    """A valid assertion. The hub remembers ``jti`` until ``until_ms`` and refuses one that it remembers."""

    node: UUID
    jti: UUID
    until_ms: int


class _Claims(msgspec.Struct, frozen=True):
    iss: UUID
    sub: UUID
    aud: str
    iat: int
    exp: int
    jti: UUID


def audience(hub: VerifyKey) -> str:
    """The ``aud`` of assertions for the hub with this key."""
    return f"urn:qurbani:hub:{hub.id}"


def assertion(key: SigningKey, node: UUID, aud: str, *, now_ms: int, jti: UUID) -> str:
    """A proof that the holder of ``key`` is ``node``, at the hub's time ``now_ms``, good for one use."""
    now_s = now_ms // 1000
    claims = _Claims(iss=node, sub=node, aud=aud, iat=now_s, exp=now_s + LIFE_S // 2, jti=jti)
    return _jws.encode(msgspec.json.encode(claims), key.pem(), algorithm="EdDSA", headers={"typ": TYPE})


def claimed_node(proof: str) -> UUID:
    """Whose assertion this claims to be, so that its key can be looked up. Nothing is verified here."""
    return _open(proof, None).sub


def verify(proof: str, node: UUID, key: VerifyKey, aud: str, *, now_ms: int) -> Proof:
    """The proof in an assertion of ``node``, whose public key is ``key``.

    Raises ``bad_assertion``, or ``clock_skew`` with the fact ``time_ms`` when everything but the time is right.
    """
    claims = _open(proof, key)
    if not node == claims.sub == claims.iss or claims.aud != aud:
        raise QurbaniError("bad_assertion", "the assertion is of another box or for another hub")
    if not 0 < claims.exp - claims.iat <= LIFE_S:
        raise QurbaniError("bad_assertion", f"an assertion lives at most {LIFE_S} s")
    until_ms = claims.exp * 1000 + SKEW_MS
    if not claims.iat * 1000 - SKEW_MS <= now_ms < until_ms:
        raise QurbaniError("clock_skew", "the assertion is not of this moment", time_ms=now_ms)
    return Proof(node, claims.jti, until_ms)


def possession(key: SigningKey, method: str, path: str, token: str, *, now_ms: int) -> str:
    """The header :data:`PROOF` of one call with ``token``, at the hub's time ``now_ms``."""
    signature = key.sign(_call(method, path, token, now_ms))
    return f"{now_ms}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def check_possession(proof: str, key: VerifyKey, method: str, path: str, token: str, *, now_ms: int) -> None:
    """Return when the sender of this call holds ``key``.

    Raises ``not_signed_in``, or ``clock_skew`` with the fact ``time_ms`` when all but the moment is right.
    """
    moment, _, encoded = proof.partition(".")
    try:
        signature = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        made_ms = int(moment)
        key.verify(signature, _call(method, path, token, made_ms))
    except (binascii.Error, ValueError, OverflowError, QurbaniError) as error:
        raise QurbaniError("not_signed_in", "the token is used without a proof that it is yours") from error
    if not now_ms - PROOF_LIFE_MS <= made_ms <= now_ms + SKEW_MS:
        raise QurbaniError("clock_skew", "the proof is not of this moment", time_ms=now_ms)


def to_form(proof: str) -> bytes:
    """The body of the token request (RFC 7523, section 2.2)."""
    return urlencode({
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": proof,
    }).encode()


def from_form(body: bytes) -> str:
    """The assertion in a token request. Raises ``bad_input``."""
    try:
        form = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=8)
    except ValueError as error:
        raise QurbaniError("bad_input", "the token request is not a form") from error
    if form.get("grant_type") != ["client_credentials"] or form.get("client_assertion_type") != [ASSERTION_TYPE]:
        raise QurbaniError("bad_input", "the token request is not one of client credentials with a JWT")
    match form.get("client_assertion"):
        case [proof]:
            return proof
    raise QurbaniError("bad_input", "client_assertion is missing", field="client_assertion")


def _call(method: str, path: str, token: str, now_ms: int) -> bytes:
    return _POSSESSED + encode([method, path, hashlib.sha256(token.encode()).digest(), now_ms])


def _open(proof: str, key: VerifyKey | None) -> _Claims:
    try:
        opened = _jws.decode_complete(
            proof,
            Ed25519PublicKey.from_public_bytes(key.raw) if key else "",
            algorithms=["EdDSA"],
            options={"verify_signature": key is not None},
        )
        claims = msgspec.json.decode(opened["payload"], type=_Claims)
    except (PyJWTError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise QurbaniError("bad_assertion", f"the assertion cannot be read: {error}") from error
    if opened["header"].get("typ") != TYPE:
        raise QurbaniError("bad_assertion", f"an assertion has the type {TYPE}")
    return claims
