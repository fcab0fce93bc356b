"""A signed statement of where a file comes from, that anybody can check with the file and the hub's public keys.

A captured video has a number in the chain of its box, counted from 1 without a gap, and names the hash of the video
numbered before it: a video that was taken away leaves a missing number, and one that was put in its place does not fit.
A file that was made of another one names that one's hash instead, with the tool and its settings.

On disk a manifest is one canonical JSON document, so that there is one way only to write what was signed: a file that
differs in a single bit says something else, or is none. The signature is Ed25519 over ``qurbani/manifest/1``, a zero
byte, and the compact canonical JSON of the member ``manifest``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import IO, Annotated, Literal
from uuid import UUID

import msgspec

from shared.crypto import SigningKey, VerifyKey
from shared.domain.verdict import Outcome, Verdict
from shared.errors import QurbaniError

FIRST = "0" * 64
"""What stands for the video before the first one."""

_SIGNED = b"qurbani/manifest/1\0"
_PIECE = 1024 * 1024
_LARGEST = 64 * 1024

Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Code = Literal[
    "not_a_manifest", "bad_signature", "unknown_signer", "wrong_size", "wrong_hash", "missing", "twice",
    "wrong_previous", "wrong_parent",
]  # fmt: skip


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing may stand in a manifest that nobody reads."""


class Moment(_Strict, frozen=True):
    """A reading of the box's clocks (see :class:`shared.clock.Reading`) and by how much the wall clock may be off.

    ``uncertain_ms`` is None where the clock was not compared with the hub's since it started.
    """

    wall_ms: int
    mono_ms: int
    boot: str
    uncertain_ms: int | None = None


class Capture(_Strict, frozen=True, tag="capture"):
    """A video as it was recorded: its number at its box, and the SHA-256 of the video numbered before it."""

    number: Annotated[int, msgspec.Meta(ge=1)]
    previous: Hash
    captured: Moment


class Derived(_Strict, frozen=True, tag="derived"):
    """A file made of another one, whose SHA-256 is ``parent``."""

    parent: Hash
    tool: str
    settings: dict[str, str] = {}


class Judged(_Strict, frozen=True):
    """What the check found; ``verdict`` is the SHA-256 of the whole verdict's canonical JSON."""

    outcome: Outcome
    reasons: tuple[str, ...]
    verdict: Hash


class Manifest(_Strict, frozen=True):
    """``node`` is the box (or, all zeros, the hub) that vouches for the file of ``video`` that has this hash and size.

    ``versions`` names the software, the rules and the models. ``signed_ms`` is the signer's wall clock.
    """

    node: UUID
    video: UUID
    sha256: Hash
    size: Annotated[int, msgspec.Meta(ge=0)]
    media_type: str
    origin: Capture | Derived
    versions: dict[str, str]
    signed_ms: int
    judged: Judged | None = None


class _Document(_Strict, frozen=True):
    manifest: Manifest
    key: Hash
    signature: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$")]


class Signed(msgspec.Struct, frozen=True):
    """A manifest whose signature holds, and the key that made it."""

    manifest: Manifest
    key: VerifyKey


class Signer(msgspec.Struct, frozen=True):
    """What the hub publishes of a box: its public keys (hex; more than one after a renewal), and how far it counts.

    ``last`` is the highest number that the hub has seen, 0 when that is not known; ``closed`` is a box that was shut
    out, whose key vouches for nothing beyond that.
    """

    keys: tuple[Hash, ...]
    last: int = 0
    closed: bool = False


Signers = Mapping[UUID, Signer]


class Broken(msgspec.Struct, frozen=True):
    """One thing that does not hold: in which manifest (its name or number), and what."""

    code: Code
    where: str
    detail: str


def judged(verdict: Verdict) -> Judged:
    """What a manifest says of a verdict."""
    digest = hashlib.sha256(msgspec.json.encode(verdict, order="deterministic")).hexdigest()
    return Judged(verdict.outcome, tuple(dict.fromkeys(reason.code for reason in verdict.reasons)), digest)


def versions(software: str, verdict: Verdict) -> dict[str, str]:
    """What a manifest says of the versions that led to a verdict."""
    models = {"detector": verdict.detector, "recogniser": verdict.recogniser}
    named = {role: f"{model.name} {model.version}" for role, model in models.items() if model}
    return {"software": software, "rules": verdict.code, **named}


def sign(key: SigningKey, manifest: Manifest) -> bytes:
    """The manifest as a file, signed."""
    return _written(_Document(manifest, key.public.raw.hex(), key.sign(_signed(manifest)).hex()))


def read(data: bytes) -> Signed:
    """The manifest in a file. Raises ``not_a_manifest``, or ``bad_signature`` where its own key did not sign it.

    Whose key that is, is for :func:`verify` to say.
    """
    try:
        document = msgspec.json.decode(data[:_LARGEST], type=_Document)
        if _written(document) != data:
            raise QurbaniError("not_a_manifest", "it is not written as it was signed")
        key = VerifyKey(bytes.fromhex(document.key))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise QurbaniError("not_a_manifest", str(error)) from error
    key.verify(bytes.fromhex(document.signature), _signed(document.manifest))
    return Signed(document.manifest, key)


def verify(signed: Signed, where: str, file: IO[bytes] | None, signers: Signers | None) -> list[Broken]:
    """What does not hold: of the signer, where ``signers`` are known, and of the ``file``, where it is at hand."""
    broken = []
    manifest = signed.manifest
    if signers is not None:
        signer = signers.get(manifest.node)
        if signer is None or signed.key.raw.hex() not in signer.keys:
            broken.append(Broken("unknown_signer", where, f"key {signed.key.id} is none of node {manifest.node}"))
        elif signer.closed and isinstance(manifest.origin, Capture) and manifest.origin.number > signer.last:
            broken.append(Broken("unknown_signer", where, "the box was shut out before it told of this"))
    if file is not None:
        size, sha256 = measure(file)
        if size != manifest.size:
            broken.append(Broken("wrong_size", where, f"{size} bytes instead of {manifest.size}"))
        elif sha256 != manifest.sha256:
            broken.append(Broken("wrong_hash", where, f"{sha256} instead of {manifest.sha256}"))
    return broken


def verify_chains(manifests: Iterable[Manifest], signers: Signers | None = None) -> list[Broken]:
    """What is missing or out of place among all manifests of one or more boxes, each from its first number on.

    That the newest ones are gone shows only where ``signers`` tell how far the box has counted.
    """
    chains: dict[UUID, dict[int, Manifest]] = {}
    broken, derived, hashes = [], [], set()
    for manifest in manifests:
        hashes.add(manifest.sha256)
        if isinstance(manifest.origin, Derived):
            derived.append((manifest, manifest.origin))
            continue
        chain = chains.setdefault(manifest.node, {})
        number = manifest.origin.number
        if number in chain and chain[number] != manifest:
            broken.append(Broken("twice", _place(manifest.node, number), "two captures have this number"))
        chain[number] = manifest
    for node, chain in chains.items():
        last = max([*chain, signers[node].last if signers and node in signers else 0])
        broken += _gaps(node, chain, last)
    for manifest, origin in derived:
        if origin.parent not in hashes:
            broken.append(Broken("wrong_parent", str(manifest.video), f"it is made of {origin.parent}, not here"))
    return broken


def _gaps(node: UUID, chain: Mapping[int, Manifest], last: int) -> list[Broken]:
    broken, previous = [], FIRST
    for number in range(1, last + 1):
        manifest = chain.get(number)
        if manifest is None:
            broken.append(Broken("missing", _place(node, number), "a capture was taken away"))
            previous = ""
            continue
        assert isinstance(manifest.origin, Capture)
        if previous and manifest.origin.previous != previous:
            broken.append(Broken("wrong_previous", _place(node, number), "the video before it is another one"))
        previous = manifest.sha256
    return broken


def _place(node: UUID, number: int) -> str:
    return f"{node} {number}"


def _signed(manifest: Manifest) -> bytes:
    return _SIGNED + msgspec.json.encode(manifest, order="deterministic")


def _written(document: _Document) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=1) + b"\n"


def measure(file: IO[bytes]) -> tuple[int, str]:
    """Size and SHA-256 (hex) of a file."""
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
