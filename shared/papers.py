"""Papers: facts that somebody has signed, as a file that anybody can check without us.

A paper is JSON, ``{"facts": {...}, "key": HEX, "kind": KIND, "signature": HEX}``. The signature (Ed25519) covers the
line ``qurbani paper 1 KIND`` and the facts as canonical JSON: sorted keys, no spaces, UTF-8. A PDF may carry its paper
(:mod:`shared.pdf_tail`), of which the fact ``sha256`` is the hash of the PDF itself.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from shared import pdf_tail
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
        if (key.raw.hex(), signature.hex()) != (self.key, self.signature):
            raise QurbaniError("bad_signature", "the digits are not as they were written")
        key.verify(signature, _message(self.kind, self.facts))
        return key

    def text(self) -> str:
        """As a file that people can read, too."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=1).decode() + "\n"


def sign(key: SigningKey, kind: str, facts: msgspec.Struct) -> Paper:
    """The paper of these facts."""
    told: dict[str, Any] = msgspec.to_builtins(facts)
    return Paper(kind, told, key.public.raw.hex(), key.sign(_message(kind, told)).hex())


def on_pdf(paper: Paper, pdf: bytes) -> bytes:
    """The PDF with its paper, which has to name its hash."""
    return pdf_tail.attach(pdf, msgspec.json.encode(paper, order="sorted"))


def read(data: bytes) -> Paper:
    """The paper in a file, however it is set, or on a PDF, which has to be what was signed.

    Raises ``not_a_paper``, or ``bad_signature`` for a PDF that is not as it was.
    """
    if data.startswith(pdf_tail.BEGIN):
        return _of_pdf(data)
    return _read(data)


def _of_pdf(data: bytes) -> Paper:
    try:
        pdf, note = pdf_tail.detach(data)
    except ValueError as error:
        raise QurbaniError("bad_signature", str(error)) from error
    paper = _read(note)
    if on_pdf(paper, pdf) != data or paper.facts.get("sha256") != sha256(pdf).hexdigest():
        raise QurbaniError("bad_signature", "this PDF is not what was signed")
    return paper


def _read(data: bytes) -> Paper:
    try:
        return msgspec.json.decode(data[:_LARGEST], type=Paper)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise QurbaniError("not_a_paper", str(error)) from error


def _message(kind: str, facts: dict[str, Any]) -> bytes:
    return f"qurbani paper 1 {kind}\n".encode() + msgspec.json.encode(facts, order="sorted")
