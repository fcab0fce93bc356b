"""Keys: what they sign, what they open, and how they lie on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.crypto import (
    WRAPPED_SIZE,
    SealKey,
    SigningKey,
    UnsealKey,
    VerifyKey,
    key_id,
    load_key,
    save_key,
)
from shared.errors import QurbaniError


def test_the_signature_of_rfc_8032_test_2() -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = SigningKey(seed)
    assert key.public.raw.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")


def test_a_signature_holds_for_its_key_and_message_only() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign(b"op")
    key.public.verify(signature, b"op")
    for public, message, sig in [
        (other.public, b"op", signature), (key.public, b"oq", signature), (key.public, b"op", signature[:-1]),
        (key.public, b"op", b""), (key.public, b"op", bytes([signature[0] ^ 1]) + signature[1:]),
    ]:
        with pytest.raises(QurbaniError) as caught:
            public.verify(sig, message)
        assert caught.value.code == "bad_signature"


def test_a_wrapped_key_opens_for_its_recipient_only() -> None:
    box, hub = UnsealKey.generate(), UnsealKey.generate()
    wrapped = box.public.wrap(b"k" * 32)
    assert len(wrapped) == WRAPPED_SIZE
    assert box.unwrap(wrapped) == b"k" * 32
    assert box.public.wrap(b"k" * 32) != wrapped, "every wrapping is fresh"
    for key, raw in [(hub, wrapped), (box, wrapped[:-1]), (box, b""), (box, bytes(WRAPPED_SIZE))]:
        with pytest.raises(QurbaniError) as caught:
            key.unwrap(raw)
        assert caught.value.code == "wrong_key"


def test_every_flipped_bit_of_a_wrapped_key_is_seen() -> None:
    key = UnsealKey.generate()
    wrapped = key.public.wrap(b"k" * 32)
    for bit in range(len(wrapped) * 8):
        # X25519 ignores the top bit of the encapsulated key, but HPKE hashes the key as it was sent.
        flipped = bytearray(wrapped)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(QurbaniError):
            key.unwrap(bytes(flipped))


def test_bad_public_keys_are_refused() -> None:
    for make in (VerifyKey, SealKey):
        with pytest.raises(QurbaniError, match="32 bytes"):
            make(b"short")
    with pytest.raises(QurbaniError, match="not a usable key"):
        SealKey(bytes(32)).wrap(b"k" * 32)


def test_public_keys_are_values() -> None:
    raw = SigningKey.generate().public.raw
    assert VerifyKey(raw) == VerifyKey(raw)
    assert VerifyKey(raw) != SealKey(raw), "what signs never seals"
    assert len({VerifyKey(raw), VerifyKey(raw), SealKey(raw)}) == 2
    assert VerifyKey(raw).id == key_id(raw)
    assert len(key_id(raw)) == 16


@pytest.mark.parametrize("kind", [SigningKey, UnsealKey])
@pytest.mark.parametrize("passphrase", [None, "تكبير and so on"])
def test_a_saved_key_comes_back(
    tmp_path: Path, kind: type[SigningKey] | type[UnsealKey], passphrase: str | None
) -> None:
    key, path = kind.generate(), tmp_path / "key"
    save_key(path, key, passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path, kind, passphrase).public == key.public


def test_an_open_key_is_plain_pkcs8(tmp_path: Path) -> None:
    key, path = SigningKey.generate(), tmp_path / "key"
    save_key(path, key)
    outside = load_pem_private_key(path.read_bytes(), password=None)
    assert outside.public_key().public_bytes_raw() == key.public.raw  # type: ignore[union-attr]


def test_a_locked_key_stays_locked(tmp_path: Path) -> None:
    key, path = SigningKey.generate(), tmp_path / "key"
    save_key(path, key, "right")
    assert key.pem().splitlines()[1] not in path.read_bytes()
    for passphrase in (None, "wrong"):
        with pytest.raises(QurbaniError) as caught:
            load_key(path, SigningKey, passphrase)
        assert caught.value.code == "key_locked"


def test_the_wrong_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "key"
    save_key(path, UnsealKey.generate())
    with pytest.raises(QurbaniError, match="not a key for SigningKey"):
        load_key(path, SigningKey)
    for rubbish in (b"", b"{}", b"{", b"\xff", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        path.write_bytes(rubbish)
        with pytest.raises(QurbaniError) as caught:
            load_key(path, SigningKey)
        assert caught.value.code == "wrong_key"
