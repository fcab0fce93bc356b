"""Access tokens of boxes: as :mod:`cloud.auth.tokens`, and a fifth as long, as a slow line carries one with each call.

Only the hub makes and reads them, so they need neither JSON nor a public key: ``n.`` and in base64url

    node 16 | expires, seconds 4 | the key that the box must prove to hold 32 | HMAC-SHA256 of all that, cut to 17

(17 bytes, so that base64 has neither padding nor idle bits.) A forger has 2^-136 a try; the proof of possession
(:mod:`sync.tokens`) makes a token that leaks worthless.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from datetime import datetime
from uuid import UUID

from cloud.auth.tokens import LIFE_S
from cloud.platform.access import NODE, Principal
from cloud.platform.core import Platform
from shared.errors import QurbaniError

PURPOSE = "node-token/1"
"""Of the key: see :meth:`cloud.platform.keys.Keys.derive`."""

_PREFIX = "n."
_BODY = struct.Struct(">16sI32s")
_MAC_SIZE = 17


def is_node_token(token: str) -> bool:
    return token.startswith(_PREFIX)


def node_token(platform: Platform, node: UUID, key: bytes) -> tuple[str, int]:
    """A bearer token for a box that has proved who it is, bound to its ``key``; and its life in seconds."""
    return issue(platform.keys.derive(PURPOSE), node, key, platform.clock.now()), LIFE_S


def check_node_token(platform: Platform, token: str) -> Principal:
    """Whose bearer token this is. Raises ``not_signed_in``."""
    return check(platform.keys.derive(PURPOSE), token, platform.clock.now())


def issue(secret: bytes, node: UUID, key: bytes, now: datetime) -> str:
    """A token for ``node``, good for ``LIFE_S`` seconds and only for whoever holds ``key``."""
    body = _BODY.pack(node.bytes, int(now.timestamp()) + LIFE_S, key)
    return _PREFIX + base64.urlsafe_b64encode(body + _mac(secret, body)).decode()


def check(secret: bytes, token: str, now: datetime) -> Principal:
    """Whose token this is. Raises ``not_signed_in`` for every token that is not ours, whole and of this moment."""
    try:
        raw = base64.b64decode(token.removeprefix(_PREFIX), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise QurbaniError("not_signed_in", "the token cannot be read") from error
    body, mac = raw[: _BODY.size], raw[_BODY.size :]
    if len(body) != _BODY.size or not hmac.compare_digest(mac, _mac(secret, body)):
        raise QurbaniError("not_signed_in", "the token is not one of this hub")
    node, expires, key = _BODY.unpack(body)
    if now.timestamp() >= expires:
        raise QurbaniError("not_signed_in", "the token has expired")
    return Principal(UUID(bytes=node), NODE, "", key)


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256)[:_MAC_SIZE]
