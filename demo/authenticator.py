"""An app for codes (TOTP, RFC 6238), as people have one on their phones."""

from __future__ import annotations

import base64
import time

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_S = 30


class Authenticator:
    """Shows codes for a secret (base32). Each works once, so it never shows one twice."""

    def __init__(self, secret: str) -> None:
        self._totp = TOTP(base64.b32decode(secret), 6, SHA1(), STEP_S)  # noqa: S303
        self._shown = 0

    def code(self) -> str:
        """The code of now, or of the next half minute; whoever asks more often waits until that begins."""
        step = max(int(time.time()) // STEP_S, self._shown + 1)
        time.sleep(max(0.0, (step - 1) * STEP_S - time.time()))
        self._shown = step
        return self._totp.generate(step * STEP_S).decode()
