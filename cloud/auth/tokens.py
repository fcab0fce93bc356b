"""Access tokens: JWTs signed with Ed25519 (RFC 9068, RFC 8037). Times are compared with a time that is handed in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.platform.access import Principal
from shared.crypto import key_id
from shared.errors import QurbaniError

LIFE_S = 600
TYPE = "at+jwt"
AUDIENCE = "qurbani"

_jws = jwt.PyJWS(algorithms=["EdDSA"])


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    sub: UUID
    role: str
    name: str
    lang: str
    iat: int
    exp: int
    jti: UUID


class Tokens:
    """Issues and checks the tokens of one hub, ``issuer``."""

    def __init__(self, secret: bytes, issuer: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._issuer = issuer
        self._kid = key_id(self._key.public_key().public_bytes_raw())

    def issue(self, who: Principal, *, jti: UUID, now: datetime) -> str:
        """A token for ``who``, good for :data:`LIFE_S` seconds."""
        seconds = int(now.timestamp())
        claims = _Claims(
            self._issuer, AUDIENCE, who.id, who.role, who.name, who.language, seconds, seconds + LIFE_S, jti
        )
        headers = {"typ": TYPE, "kid": self._kid}
        return _jws.encode(msgspec.json.encode(claims), self._key, algorithm="EdDSA", headers=headers)

    def check(self, token: str, now: datetime) -> Principal:
        """Whose token this is. Raises ``not_signed_in`` for every token that is not ours, whole and of this moment."""
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
        if not claims.iat <= now.timestamp() < claims.exp:
            raise QurbaniError("not_signed_in", "the token has expired")
        return Principal(claims.sub, claims.role, claims.name, claims.lang)
