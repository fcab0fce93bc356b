"""Version 1 of the protocol as it was first released, both ends, with nothing of the product in it. Never edited.

Box and hub here know what PROTOCOL.md said then, and no field that came later. Whatever a later release adds, its
hub has to serve this box and its box has to get along with this hub (`test_frozen.py`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.protocol.independent import batch_ops, check_signature, pack, unpack

MEDIA = "application/vnd.qurbani.sync"
Send = Callable[[str, str, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Box:
    """A box that enrols, signs in, exchanges ops and the feed, and sends a blob."""

    def __init__(self, send: Send, code: str, uuids: Callable[[], UUID]) -> None:
        self.send, self.uuids = send, uuids
        self.key = Ed25519PrivateKey.generate()
        public, seal = self.key.public_key().public_bytes_raw(), b"\x09" + bytes(31)
        tidy = code.replace("-", "")
        proof = self.key.sign(b"qurbani/enrol/1\0" + pack([tidy, public, seal, "frozen"]))
        message = {"code": tidy, "sign_key": public, "seal_key": seal, "name": "frozen", "proof": proof}
        answer = self.post("/sync/v1/enrol", message, {})
        self.node, self.site, hub = UUID(bytes=answer["node"]), UUID(bytes=answer["site"]), answer["hub_sign_key"]
        self.aud = f"urn:qurbani:hub:{hashlib.sha256(hub).hexdigest()[:16]}"
        self.seq, self.prev = 0, bytes(32)
        self.cursor, self.mark, self.token = 0, b"", ""
        self.records: dict[tuple[str, bytes], Any] = {}

    def sign_in(self, now_s: int) -> None:
        claims = {"iss": str(self.node), "sub": str(self.node), "aud": self.aud, "iat": now_s, "exp": now_s + 30,
                  "jti": str(self.uuids())}
        header = {"alg": "EdDSA", "typ": "client-authentication+jwt"}
        signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        assertion = f"{signed}.{b64(self.key.sign(signed.encode()))}"
        form = ("grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
                f"client-assertion-type%3Ajwt-bearer&client_assertion={assertion}")
        status, _, body = self.send("POST", "/sync/v1/token", {"content-type": "application/x-www-form-urlencoded"},
                                    form.encode())
        assert status == 200, body
        self.token, self.now_ms = json.loads(body)["access_token"], now_s * 1000

    def signed(self, method: str, path: str) -> dict[str, str]:
        call = pack([method, path, hashlib.sha256(self.token.encode()).digest(), self.now_ms])
        proof = f"{self.now_ms}.{b64(self.key.sign(b'qurbani/proof/1' + bytes(1) + call))}"
        return {"authorization": f"Bearer {self.token}", "qurbani-proof": proof}

    def post(self, path: str, message: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        body = zlib.compress(pack(message))
        status, _, answer = self.send("POST", path, headers | {"content-type": MEDIA}, body)
        assert status == 200, answer
        found: dict[str, Any] = unpack(zlib.decompress(answer))
        return found

    def exchange(self, lines: list[list[Any]]) -> dict[str, Any]:
        """Lines are ``[hlc, entity, key, patch, actor]``. Reads one page of the feed."""
        message: dict[str, Any] = {"node": self.node, "cursor": self.cursor, "mark": self.mark, "check": True}
        prev = self.prev
        if lines:
            for seq, line in enumerate(lines, self.seq + 1):
                prev = hashlib.sha256(pack([self.node, seq, *line, prev])).digest()
            message["batch"] = [self.node, self.seq + 1, self.prev, lines, self.key.sign(b"qurbani/op/1\0" + prev)]
        path = "/sync/v1/exchange"
        answer = self.post(path, message, self.signed("POST", path))
        assert answer["acked"] == self.seq + len(lines)
        self.seq, self.prev = answer["acked"], prev
        assert not lines or answer["hash"] == prev
        for cursor, entity, key, fields in answer.get("feed", []):
            assert cursor > self.cursor
            self.records[entity, key] = fields
        self.cursor, self.mark = answer["cursor"], answer["mark"]
        return answer

    def root(self) -> bytes:
        """The digest of what this box holds."""
        leaves = {hashlib.sha256(pack([entity, key])).hexdigest(): hashlib.sha256(pack([entity, key, fields])).digest()
                  for (entity, key), fields in self.records.items() if fields is not None}
        return hashlib.sha256(b"".join(leaf for _, leaf in sorted(leaves.items()))).digest()[:16]

    def upload(self, content: bytes) -> str:
        """By tus, in one piece; the blob's id."""
        blob_id, path = hashlib.sha256(content).hexdigest(), "/sync/v1/blobs"
        told = {"id": blob_id, "sha256": blob_id, "kind": "original", "record": str(UUID(int=1))}
        metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in told.items())
        tus = {"tus-resumable": "1.0.0"}
        status, headers, body = self.send("POST", path, self.signed("POST", path) | tus | {
            "upload-length": str(len(content)), "upload-metadata": metadata}, b"")
        assert (status, headers["upload-offset"]) == (201, "0"), body
        where, checksum = headers["location"], base64.b64encode(hashlib.sha256(content).digest()).decode()
        status, headers, body = self.send("PATCH", where, self.signed("PATCH", where) | tus | {
            "upload-offset": "0", "content-type": "application/offset+octet-stream",
            "upload-checksum": f"sha256 {checksum}"}, content)
        assert (status, headers["upload-offset"]) == (204, str(len(content))), body
        return blob_id


class Hub:
    """A hub that gives tokens to one box, takes its ops in, and tells it of one animal."""

    def __init__(self, node: UUID, public: bytes, now_ms: Callable[[], int]) -> None:
        self.node, self.public, self.now_ms = node, public, now_ms
        self.hashes = [bytes(32)]
        self.lines: list[list[Any]] = []
        self.asked: list[dict[str, Any]] = []

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path == "/sync/v1/token":
            token = {"access_token": "t", "token_type": "Bearer", "expires_in": 600}
            return 200, {"content-type": "application/json"}, json.dumps(token).encode()
        assert (method, path, headers["authorization"]) == ("POST", "/sync/v1/exchange", "Bearer t")
        message = unpack(zlib.decompress(body))
        self.asked.append(message)
        if batch := message.get("batch"):
            ops = batch_ops(batch)
            check_signature(self.public, hashlib.sha256(ops[-1]).digest(), batch[-1])
            assert (batch[1], batch[2]) == (len(self.hashes), self.hashes[-1])
            self.hashes += [hashlib.sha256(op).digest() for op in ops]
            self.lines += batch[3]
        news = [[1, "animal", UUID(int=7), {"tag": "17"}]] if message["cursor"] == 0 else []
        answer = {"acked": len(self.hashes) - 1, "time_ms": self.now_ms(), "cursor": 1, "feed": news,
                  "mark": b"m" * 8, "hash": self.hashes[-1]}
        return 200, {"content-type": MEDIA}, zlib.compress(pack(answer))
