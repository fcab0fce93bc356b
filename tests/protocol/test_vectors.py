"""The test vectors hold for our code, and for an implementation that knows nothing of it."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from itertools import permutations
from typing import Any
from uuid import UUID

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared import sealed
from shared.crypto import UnsealKey, VerifyKey
from shared.domain.fields import FIELDS
from shared.errors import QurbaniError
from sync import enrolment, hlc, hub, merge, messages, receipts, tokens
from sync.ops import GENESIS, Op, encode
from tests.protocol import independent
from tests.protocol.make_vectors import FOLDER, vectors


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


KEYS = {key["name"]: bytes.fromhex(key["public"]) for key in load("keys")}


def test_our_code_still_makes_the_vectors() -> None:
    """Where this fails, the protocol has changed: that needs a new version, not new vectors."""
    stored = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert stored == vectors()


@pytest.mark.parametrize("vector", load("ops"), ids=lambda vector: vector["op"]["seq"])
def test_op_by_another_implementation(vector: dict[str, Any]) -> None:
    raw = independent.op_bytes(vector["op"])
    digest = hashlib.sha256(raw).digest()
    assert (raw.hex(), digest.hex()) == (vector["bytes"], vector["hash"])
    independent.check_signature(KEYS["box signs"], digest, bytes.fromhex(vector["signature"]))


def test_ops_form_a_chain() -> None:
    held = [GENESIS.hex(), *(vector["hash"] for vector in load("ops"))]
    assert [vector["op"]["prev"] for vector in load("ops")] == held[:-1]


@pytest.mark.parametrize("vector", load("messages"), ids=lambda vector: vector["name"])
def test_message_by_both(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["bytes"])
    kind = getattr(messages, vector["kind"])
    ours = messages.from_wire(zlib.compress(raw), kind)
    assert encode(ours) == raw
    assert messages.from_wire(messages.to_wire(ours), kind) == ours
    theirs = independent.pack(independent.unpack(raw))  # names in another order, which does not matter
    assert messages.from_wire(zlib.compress(theirs), kind) == ours


def test_batch_by_another_implementation() -> None:
    ops = [bytes.fromhex(vector["bytes"]) for vector in load("ops")]
    sent = {vector["name"]: independent.unpack(bytes.fromhex(vector["bytes"])) for vector in load("messages")}
    for name, expected in (("all five ops", ops), ("the last two ops", ops[3:])):
        batch = sent[name]["batch"]
        assert independent.batch_ops(batch) == expected
        independent.check_signature(KEYS["box signs"], hashlib.sha256(expected[-1]).digest(), batch[-1])


@pytest.mark.parametrize("vector", load("refused"), ids=lambda vector: vector["why"])
def test_what_a_hub_refuses(vector: dict[str, Any]) -> None:
    """The hub holds the first three ops."""
    held = [GENESIS, *(bytes.fromhex(each["hash"]) for each in load("ops")[:3])]
    node, raw = UUID(load("ops")[0]["op"]["node"]), bytes.fromhex(vector["bytes"])

    def take_in() -> None:
        batch = hub.read_exchange(zlib.compress(raw), node).batch
        assert batch
        hub.accept(batch, VerifyKey(KEYS["box signs"]), acked=3, held=held[hub.joint(batch, 3)], stamp=0, now_ms=0)

    with pytest.raises(QurbaniError) as refused:
        take_in()
    assert refused.value.code == vector["code"]


@pytest.mark.parametrize("vector", load("merges"), ids=lambda vector: vector["name"])
def test_merge_by_both_in_any_order(vector: dict[str, Any]) -> None:
    ops = [Op(UUID(op["node"]), 1, op["hlc"], op["entity"], UUID(int=1), op["patch"], "box", GENESIS)
           for op in vector["ops"]]
    for order in permutations(ops):
        record: dict[str, merge.Cell] = {}
        for op in order:
            record = merge.merge(record, op).record
        assert json.loads(msgspec.json.encode(record)) == vector["record"]
    assert independent.merge(FIELDS[ops[0].entity], vector["ops"]) == vector["record"]


def test_bundle_by_another_implementation() -> None:
    """The hub reads what a box wrote on a stick."""
    found = load("bundles")
    files = {name: bytes.fromhex(raw) for name, raw in found["files"].items()}
    body, signature = independent.unpack(files["manifest-00000001"])
    Ed25519PublicKey.from_public_bytes(KEYS["box signs"]).verify(signature, b"qurbani/bundle/1\0" + body)
    manifest = independent.unpack(body)
    assert manifest["to"] == hashlib.sha256(KEYS["hub opens"]).hexdigest()[:16]
    names = {"manifest-00000001"}
    for index, (size, sha256) in enumerate(manifest["letters"]):
        name = f"letter-00000001-{index:04}"
        assert (len(files[name]), hashlib.sha256(files[name]).digest()) == (size, sha256)
        names.add(name)
    for blob_id, size, _, _ in manifest["blobs"]:
        parts = [f"{blob_id}.{n:04}" for n in range(-(-size // manifest["part_bytes"]))]
        whole = b"".join(files[name] for name in parts)
        assert (len(whole), hashlib.sha256(whole).hexdigest()) == (size, blob_id)
        names.update(parts)
    assert names == files.keys()


def test_letters_open_with_the_hubs_key() -> None:
    [secret] = (key["secret"] for key in load("keys") if key["name"] == "hub opens")
    for letter in load("bundles")["letters"]:
        plain = zlib.decompress(sealed.unseal(bytes.fromhex(letter["sealed"]), UnsealKey(bytes.fromhex(secret))))
        assert plain.hex() == letter["plain"]
        assert independent.batch_ops(independent.unpack(plain)["batch"])


@pytest.mark.parametrize("name", ["box opens", "hub opens"])
def test_sealed_files_by_both(name: str) -> None:
    found = load("sealed")
    [secret] = (bytes.fromhex(key["secret"]) for key in load("keys") if key["name"] == name)
    for vector in found["whole"]:
        raw = bytes.fromhex(vector["sealed"])
        assert hashlib.sha256(raw).hexdigest() == vector["blob_id"]
        assert independent.unseal(raw, secret).hex() == vector["plain"]
        assert sealed.unseal(raw, UnsealKey(secret)).hex() == vector["plain"]
    assert len(found["damaged"]) == 6
    for vector in found["damaged"]:
        raw = bytes.fromhex(vector["sealed"])
        with pytest.raises((AssertionError, InvalidTag)):
            independent.unseal(raw, secret)
        with pytest.raises(QurbaniError, match="damaged"):
            sealed.unseal(raw, UnsealKey(secret))


def test_stamps_by_their_definition() -> None:
    limit = hlc.MAX_LEAD_MS
    cases = load("stamps")
    for case in cases["pack"]:
        assert case["stamp"] == case["ms"] * 65_536 + case["counter"]
        assert hlc.unpack(case["stamp"]) == (case["ms"], case["counter"])
    for case in cases["tick"]:
        assert case["stamp"] == max(case["last"] + 1, case["now_ms"] * 65_536)
    for case in cases["admit"]:
        assert case["stamp"] == max(case["last"] + 1, min(case["own"], (case["now_ms"] + limit) * 65_536))


@pytest.mark.parametrize("vector", load("enrolments"), ids=lambda vector: vector["code"])
def test_codes_by_their_definition(vector: dict[str, Any]) -> None:
    crockford, rfc4648 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    tidy = base64.b32encode(bytes.fromhex(vector["entropy"])).decode().translate(str.maketrans(rfc4648, crockford))
    assert vector["tidy"] == tidy == enrolment.tidy_code(vector["code"])
    assert vector["code"].split("-") == [tidy[i : i + 4] for i in range(0, 16, 4)]


def test_enrolment_by_another_implementation() -> None:
    sent = [vector for vector in load("messages") if vector["kind"] == "Enrol"]
    assert len(sent) == 2
    for vector in sent:
        message = independent.unpack(bytes.fromhex(vector["bytes"]))
        names = [name for name in ("code", "sign_key", "seal_key", "name", "node") if name in message]
        bound = independent.pack([message[name] for name in names])
        Ed25519PublicKey.from_public_bytes(message["sign_key"]).verify(message["proof"], b"qurbani/enrol/1\0" + bound)


@pytest.mark.parametrize("vector", load("assertions"), ids=["box"])
def test_assertion_by_another_implementation(vector: dict[str, Any]) -> None:
    signed, _, signature = vector["assertion"].rpartition(".")
    Ed25519PublicKey.from_public_bytes(KEYS["box signs"]).verify(_base64(signature), signed.encode())
    header, claims = (json.loads(_base64(part)) for part in signed.split("."))
    assert header == {"alg": "EdDSA", "typ": "client-authentication+jwt"}
    second = vector["now_ms"] // 1000
    assert claims == {"iss": vector["node"], "sub": vector["node"], "aud": vector["aud"], "iat": second,
                      "exp": second + 30, "jti": vector["jti"]}
    assert vector["aud"] == "urn:qurbani:hub:" + hashlib.sha256(KEYS["hub signs"]).hexdigest()[:16]
    assert tokens.from_form(vector["form"].encode()) == vector["assertion"]
    tokens.verify(vector["assertion"], UUID(vector["node"]), VerifyKey(KEYS["box signs"]), vector["aud"],
                  now_ms=vector["now_ms"])


@pytest.mark.parametrize("vector", load("digests"), ids=["feed"])
def test_digest_by_its_definition(vector: dict[str, Any]) -> None:
    leaves = {}
    for entity, key, fields in vector["records"]:
        place = hashlib.sha256(independent.pack([entity, UUID(key)])).hexdigest()
        leaves[place] = hashlib.sha256(independent.pack([entity, UUID(key), fields])).digest()
    for prefix, expected in vector["hashes"].items():
        below = b"".join(leaf for place, leaf in sorted(leaves.items()) if place.startswith(prefix))
        assert hashlib.sha256(below).hexdigest()[:32] == expected


@pytest.mark.parametrize("vector", load("receipts"), ids=["blob"])
def test_receipt_by_another_implementation(vector: dict[str, Any]) -> None:
    fields = vector["fields"]
    bound = independent.pack([bytes.fromhex(fields["blob_id"]), fields["size"], fields["durable_ms"]])
    Ed25519PublicKey.from_public_bytes(KEYS["hub signs"]).verify(
        bytes.fromhex(fields["signature"]), b"qurbani/receipt/1\0" + bound)
    assert UUID(vector["key"]).hex == fields["blob_id"][:32]
    assert receipts.check(fields, VerifyKey(KEYS["hub signs"])).size == fields["size"]


@pytest.mark.parametrize("vector", load("possessions"), ids=["exchange"])
def test_proof_of_possession_by_another_implementation(vector: dict[str, Any]) -> None:
    moment, _, signature = vector["proof"].partition(".")
    token = hashlib.sha256(vector["token"].encode()).digest()
    bound = independent.pack([vector["method"], vector["path"], token, int(moment)])
    Ed25519PublicKey.from_public_bytes(KEYS["box signs"]).verify(_base64(signature), b"qurbani/proof/1\0" + bound)
    tokens.check_possession(vector["proof"], VerifyKey(KEYS["box signs"]), vector["method"], vector["path"],
                            vector["token"], now_ms=vector["now_ms"])


def test_renewal_by_another_implementation() -> None:
    (sent,) = (vector for vector in load("messages") if vector["kind"] == "Renew")
    message = independent.unpack(bytes.fromhex(sent["bytes"]))
    bound = independent.pack([message[name] for name in ("node", "sign_key", "seal_key")])
    Ed25519PublicKey.from_public_bytes(message["sign_key"]).verify(message["proof"], b"qurbani/renew/1\0" + bound)


def _base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
