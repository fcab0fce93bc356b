"""Access tokens: JWTs signed with Ed25519 (RFC 9068, RFC 8037). Times are compared with a time that is handed in.

A token names an account and a session and says nothing else of a person; the rest is looked up with every request.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.crypto import key_id
from shared.errors import QurbaniError

LIFE_S = 600
TYPE = "at+jwt"
AUDIENCE = "qurbani"
REMEMBERED = 10_000

_jws = jwt.PyJWS(algorithms=["EdDSA"])


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    sub: UUID
    sid: UUID
    iat: int
    nbf: int
    exp: int
    jti: UUID


class AccessTokens:
    """Issues and checks the tokens of one hub, ``issuer``."""

    def __init__(self, secret: bytes, issuer: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._issuer = issuer
        self._kid = key_id(self._key.public_key().public_bytes_raw())
        # A signature that held holds: of a token that is shown with every call it is asked once.
        self._opened = lru_cache(REMEMBERED)(self._open)

    def issue(self, user: UUID, session: UUID, *, jti: UUID, now: datetime) -> str:
        """A token for ``user`` in ``session``, good for :data:`LIFE_S` seconds."""
        at = int(now.timestamp())
        claims = _Claims(self._issuer, AUDIENCE, user, session, iat=at, nbf=at, exp=at + LIFE_S, jti=jti)
        headers = {"typ": TYPE, "kid": self._kid}
        return _jws.encode(msgspec.json.encode(claims), self._key, algorithm="EdDSA", headers=headers)

    def check(self, token: str, now: datetime) -> UUID:
        """The session of this token. Raises ``not_signed_in`` for all that are not ours, whole and of this moment."""
        claims = self._opened(token)
        if not max(claims.iat, claims.nbf) <= now.timestamp() < claims.exp:
            raise QurbaniError("not_signed_in", "the token has expired")
        return claims.sid

    def _open(self, token: str) -> _Claims:
        """What a token of ours says. Raises ``not_signed_in``."""
        try:
            opened = _jws.decode_complete(token, self._key.public_key(), algorithms=["EdDSA"])
            claims = msgspec.json.decode(opened["payload"], type=_Claims)
        except (jwt.PyJWTError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise QurbaniError("not_signed_in", "the token cannot be read") from error
        header = opened["header"]
        if (header.get("typ"), header.get("kid")) != (TYPE, self._kid):
            raise QurbaniError("not_signed_in", "the token is of another kind or key")
        if (claims.iss, claims.aud) != (self._issuer, AUDIENCE):
            raise QurbaniError("not_signed_in", "the token is of another hub")
        return claims


@cache
def access_tokens(secret: bytes, issuer: str) -> AccessTokens:
    """Those of one hub, of which every request asks."""
    return AccessTokens(secret, issuer)
