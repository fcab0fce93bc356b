"""The protocol once more, from PROTOCOL.md alone: plain Python, hashlib, Ed25519, X25519 and AES-GCM, nothing of ours.

It is slow and knows only what the vectors need. That it agrees with the vectors shows that the document says
enough for somebody else's implementation.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

RANKS = ["opened", "recorded", "judged"]


def pack(value: Any) -> bytes:
    """Canonical MessagePack."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            return _pack_int(value)
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case str():
            raw = value.encode()
            if len(raw) < 32:
                return bytes([0xA0 | len(raw)]) + raw
            return _sized(len(raw), 0xD9, 0xDA, 0xDB) + raw
        case bytes():
            return _sized(len(value), 0xC4, 0xC5, 0xC6) + value
        case UUID():
            return pack(value.bytes)
        case list():
            head = bytes([0x90 | len(value)]) if len(value) < 16 else b"\xdc" + struct.pack(">H", len(value))
            return head + b"".join(map(pack, value))
        case dict():
            head = bytes([0x80 | len(value)]) if len(value) < 16 else b"\xde" + struct.pack(">H", len(value))
            names = sorted(value, key=str.encode)
            return head + b"".join(pack(name) + pack(value[name]) for name in names)
    raise TypeError(type(value))


def _pack_int(value: int) -> bytes:
    if value >= 0:
        if value < 128:
            return bytes([value])
        for bits, mark, form in ((8, 0xCC, ">B"), (16, 0xCD, ">H"), (32, 0xCE, ">I"), (64, 0xCF, ">Q")):
            if value < 1 << bits:
                return bytes([mark]) + struct.pack(form, value)
    if value >= -32:
        return struct.pack(">b", value)
    for bits, mark, form in ((8, 0xD0, ">b"), (16, 0xD1, ">h"), (32, 0xD2, ">i"), (64, 0xD3, ">q")):
        if value >= -(1 << bits - 1):
            return bytes([mark]) + struct.pack(form, value)
    raise OverflowError(value)


def _sized(size: int, *marks: int) -> bytes:
    for mark, form, limit in zip(marks, (">B", ">H", ">I"), (1 << 8, 1 << 16, 1 << 32), strict=True):
        if size < limit:
            return bytes([mark]) + struct.pack(form, size)
    raise OverflowError(size)


def unpack(data: bytes) -> Any:
    value, end = _unpack(data, 0)
    assert end == len(data)
    return value


def _unpack(data: bytes, at: int) -> tuple[Any, int]:
    mark, at = data[at], at + 1
    if mark < 0x80:
        return mark, at
    if mark >= 0xE0:
        return mark - 256, at
    if mark < 0x90:
        return _unpack_map(data, at, mark & 15)
    if mark < 0xA0:
        return _unpack_list(data, at, mark & 15)
    if mark < 0xC0:
        return data[at : at + (mark & 31)].decode(), at + (mark & 31)
    if mark in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[mark], at
    form = {0xC4: ">B", 0xC5: ">H", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h",
            0xD2: ">i", 0xD3: ">q", 0xD9: ">B", 0xDA: ">H", 0xDC: ">H", 0xDE: ">H"}[mark]  # fmt: skip
    (number,), at = struct.unpack_from(form, data, at), at + struct.calcsize(form)
    if mark in (0xC4, 0xC5):
        return data[at : at + number], at + number
    if mark in (0xD9, 0xDA):
        return data[at : at + number].decode(), at + number
    if mark == 0xDC:
        return _unpack_list(data, at, number)
    return _unpack_map(data, at, number) if mark == 0xDE else (number, at)


def _unpack_list(data: bytes, at: int, size: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(size):
        item, at = _unpack(data, at)
        items.append(item)
    return items, at


def _unpack_map(data: bytes, at: int, size: int) -> tuple[dict[str, Any], int]:
    flat, at = _unpack_list(data, at, 2 * size)
    return dict(zip(flat[::2], flat[1::2], strict=True)), at


def op_bytes(op: dict[str, Any]) -> bytes:
    return pack([UUID(op["node"]), op["seq"], op["hlc"], op["entity"], UUID(op["key"]), op["patch"], op["actor"],
                 bytes.fromhex(op["prev"])])


def check_signature(public: bytes, digest: bytes, signature: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(public).verify(signature, b"qurbani/op/1\0" + digest)


def batch_ops(batch: list[Any]) -> list[bytes]:
    """The bytes of each op of a batch; the last one's hash is what the batch's signature signs."""
    node, first, prev, lines, _ = batch
    ops = []
    for seq, (hlc, entity, key, patch, actor) in enumerate(lines, first):
        ops.append(pack([node, seq, hlc, entity, key, patch, actor, prev]))
        prev = hashlib.sha256(ops[-1]).digest()
    return ops


def merge(policies: dict[str, str], ops: list[dict[str, Any]]) -> dict[str, Any]:
    """The record after all of these ops of it, for the policies that the vectors use."""
    record = {}
    for field in sorted({field for op in ops for field in op["patch"]}):
        writes = [(op["hlc"], UUID(op["node"]), pack(op["patch"][field]), op["patch"][field])
                  for op in ops if field in op["patch"]]
        policy, rivals = policies[field], []
        if policy == "write_once":
            first_of = {write[2]: write for write in sorted(writes, reverse=True)}
            winner, *rivals = sorted(first_of.values())
        elif policy == "lattice":
            winner = min(writes, key=lambda write: (-RANKS.index(write[3]), write))
        else:
            winner = max(writes)
        record[field] = [winner[3], winner[0], str(winner[1]),
                         [[rival[3], rival[0], str(rival[1]), []] for rival in rivals]]
    return record


# Sealed files (section 13), HPKE (RFC 9180) included


def unseal(sealed: bytes, secret: bytes) -> bytes:
    """The plaintext, for the holder of an X25519 private key. Raises whatever comes up where that is not to be had."""
    mine = X25519PrivateKey.from_private_bytes(secret)
    public = mine.public_key().public_bytes_raw()
    magic, segment_size, count, salt, commitment = struct.unpack_from(">8sIB32s32s", sealed)
    assert magic == b"QSEALED\x01"
    end = 77 + 88 * count
    wrapped = {sealed[at : at + 8]: sealed[at + 8 : at + 88] for at in range(77, end, 88)}
    file_key = _unwrap(wrapped[hashlib.sha256(public).digest()[:8]], mine, public)
    derived = _hkdf(salt, file_key, b"qurbani sealed blob 1", 64)
    assert derived[32:] == commitment
    key, header, plain = AESGCM(derived[:32]), hashlib.sha256(sealed[:end]).digest(), b""
    is_final = False
    for index, at in enumerate(range(end, len(sealed), segment_size + 28)):
        segment = sealed[at : at + segment_size + 28]
        is_final = len(segment) < segment_size + 28
        about = header + struct.pack(">QBI", index, is_final, 0)
        plain += key.decrypt(segment[:12], segment[12:], about)
    assert is_final
    return plain


def _unwrap(wrapped: bytes, mine: X25519PrivateKey, public: bytes) -> bytes:
    shared = mine.exchange(X25519PublicKey.from_public_bytes(wrapped[:32]))
    kem, suite = b"KEM\0\x20", b"HPKE\0\x20\0\x01\0\x02"
    secret = _expand(kem, _extract(kem, b"", b"eae_prk", shared), b"shared_secret", wrapped[:32] + public, 32)
    info = _extract(suite, b"", b"info_hash", b"qurbani file key 1")
    context = bytes(1) + _extract(suite, b"", b"psk_id_hash", b"") + info
    schedule = _extract(suite, secret, b"secret", b"")
    key, nonce = (_expand(suite, schedule, label, context, size) for label, size in ((b"key", 32), (b"base_nonce", 12)))
    return AESGCM(key).decrypt(nonce, wrapped[32:], b"")


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, size: int) -> bytes:
    return _blocks(key, struct.pack(">H", size) + b"HPKE-v1" + suite + label + info, size)


def _hkdf(salt: bytes, material: bytes, info: bytes, size: int) -> bytes:
    return _blocks(hmac.digest(salt, material, "sha256"), info, size)


def _blocks(key: bytes, info: bytes, size: int) -> bytes:
    out = block = b""
    for number in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out += block
    return out[:size]
