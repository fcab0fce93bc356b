"""How a box becomes a node: somebody types the one-time code of the hub's administrator into the box.

The code is 80 random bits in Crockford's base 32 (https://www.crockford.com/base32.html), so that it can be
read out over the phone. The proof binds it to the box's keys: who overhears it cannot put other keys in their
place, and a request whose answer was lost can be sent again. The hub answers a used code as it did before
when the keys are the same, and with ``bad_code`` otherwise.

A hub that was put back to a backup may have forgotten a box. With a new code the box asks for the name that it had,
and goes on under it: its chain, its seals and its signatures stay what they are.

A box that finds another one under its name asks for a name of its own (:func:`renew`). It has shown by its
token who it was; the proof shows that the new key is its own.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from shared.crypto import SealKey, SigningKey, VerifyKey
from shared.errors import QurbaniError
from sync.messages import Enrol, Renew
from sync.ops import encode

CODE_BYTES = 10
MAX_NAME = 100

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_SIGNED = b"qurbani/enrol/1\0"
_RENEWED = b"qurbani/renew/1\0"


def new_code(entropy: bytes) -> str:
    """``CODE_BYTES`` random bytes as a code: four groups of four."""
    if len(entropy) != CODE_BYTES:
        raise ValueError(f"a code is made of {CODE_BYTES} bytes, not {len(entropy)}")
    number = int.from_bytes(entropy)
    digits = "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(digits[i : i + 4] for i in range(0, 16, 4))


def tidy_code(typed: str) -> str:
    """A code as typed by a person, in the form that is compared and hashed. Raises ``bad_code``."""
    code = typed.upper().translate(_READ_AS)
    if len(code) != 16 or not set(code) <= set(_ALPHABET):
        raise QurbaniError("bad_code", "a code has sixteen letters and digits")
    return code


def enrol(typed: str, sign: SigningKey, seal: SealKey, name: str, node: UUID | None = None) -> Enrol:
    """What the box sends: the tidied code, its public keys, the name people call it by, and the proof.

    ``node`` is what the hub called it before, if it did.
    """
    message = Enrol(tidy_code(typed), sign.public.raw, seal.raw, name, b"", node)
    return msgspec.structs.replace(message, proof=sign.sign(_bound(message)))


def check(message: Enrol) -> None:
    """Return when the sender of ``message`` holds the key that it shows; whether the code is good, the hub knows.

    Raises ``bad_code``, ``bad_input`` or ``bad_signature``.
    """
    tidy = msgspec.structs.replace(message, code=tidy_code(message.code))
    if not 0 < len(message.name) <= MAX_NAME:
        raise QurbaniError("bad_input", f"a name has 1 to {MAX_NAME} characters", field="name")
    SealKey(message.seal_key)
    VerifyKey(message.sign_key).verify(message.proof, _bound(tidy))


def renew(node: UUID, seq: int, digest: bytes, sign: SigningKey, seal: SealKey) -> Renew:
    """What a box sends that must go by another name from op ``seq`` on, whose hash is ``digest``."""
    proof = sign.sign(_RENEWED + encode([node, sign.public.raw, seal.raw]))
    return Renew(node, seq, digest, sign.public.raw, seal.raw, proof)


def check_renewal(message: Renew) -> None:
    """Return when the sender of ``message`` holds the key that it shows. Raises ``bad_input`` or ``bad_signature``."""
    SealKey(message.seal_key)
    bound = encode([message.node, message.sign_key, message.seal_key])
    VerifyKey(message.sign_key).verify(message.proof, _RENEWED + bound)


def _bound(message: Enrol) -> bytes:
    bound = [message.code, message.sign_key, message.seal_key, message.name]
    return _SIGNED + encode(bound if message.node is None else [*bound, message.node])
