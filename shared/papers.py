"""Papers: facts that somebody has signed, as a file that anybody can check without us.

A paper is JSON, ``{"facts": {...}, "key": HEX, "kind": KIND, "signature": HEX}``. The signature (Ed25519) covers the
line ``qurbani paper 1 KIND`` and the facts as canonical JSON: sorted keys, no spaces, UTF-8.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError

_LARGEST = 1 << 20


class Paper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``key`` and ``signature`` in hex."""

    kind: str
    facts: dict[str, Any]
    key: str
    signature: str

    def checked(self) -> VerifyKey:
        """The key that signed it; whose that is, is for others to say. Raises ``bad_signature`` or ``not_a_paper``."""
        try:
            key, signature = VerifyKey(bytes.fromhex(self.key)), bytes.fromhex(self.signature)
        except ValueError as error:
            raise QurbaniError("not_a_paper", str(error)) from error
        key.verify(signature, _message(self.kind, self.facts))
        return key

    def text(self) -> str:
        """As a file that people can read, too."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=1).decode() + "\n"


def sign(key: SigningKey, kind: str, facts: msgspec.Struct) -> Paper:
    """The paper of these facts."""
    told: dict[str, Any] = msgspec.to_builtins(facts)
    return Paper(kind, told, key.public.raw.hex(), key.sign(_message(kind, told)).hex())


def read(data: bytes) -> Paper:
    """The paper in a file, however it is set. Raises ``not_a_paper``."""
    try:
        return msgspec.json.decode(data[:_LARGEST], type=Paper)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise QurbaniError("not_a_paper", str(error)) from error


def _message(kind: str, facts: dict[str, Any]) -> bytes:
    return f"qurbani paper 1 {kind}\n".encode() + msgspec.json.encode(facts, order="sorted")
