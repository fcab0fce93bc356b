"""Writes the test vectors of the sync protocol: ``python -m tests.protocol.make_vectors``.

They are part of the specification: a change in one of them is a change of the protocol. Bytes are in hex.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec

from shared import sealed
from shared.crypto import SigningKey, UnsealKey
from sync import bundle, enrolment, hlc, receipts, tokens
from sync.digest import Tree, answer
from sync.merge import Cell, merge
from sync.messages import Ask, Change, Compare, Compared, Enrolled, Exchange, Exchanged, Parked
from sync.ops import GENESIS, HUB, Batch, Op, encode, op_hash, pack, sign_op
from sync.ports import Outgoing, Position
from tests.unit.sync.sticks import MemoryStick

FOLDER = Path(__file__).with_name("vectors")

SECRETS = {"box signs": bytes(range(32)), "box opens": bytes(range(32, 64)), "hub signs": bytes(range(64, 96)),
           "hub opens": bytes(range(96, 128))}
KEY, HUB_KEY = SigningKey(SECRETS["box signs"]), SigningKey(SECRETS["hub signs"])
SEAL_KEY, HUB_SEAL_KEY = UnsealKey(SECRETS["box opens"]), UnsealKey(SECRETS["hub opens"])
NODE = UUID("0198f3c2-5e00-7abc-8def-0123456789ab")
SITE = UUID("0198f3c2-0000-7000-8000-000000000517")
SACRIFICE = UUID("0198f3c2-6000-7000-8000-000000000001")
VIDEO = UUID("0198f3c2-6000-7000-8000-000000000002")
ACTOR = "0198f3c2-0000-7000-8000-00000000000e"
NOW_MS = 1_780_000_000_000

WRITES: list[tuple[str, UUID, dict[str, Any], str]] = [
    ("sacrifice", SACRIFICE, {
        "site_id": str(SITE), "state": "opened", "opened": {"wall_ms": NOW_MS, "mono_ms": 81_000, "boot": "b0"},
    }, ACTOR),
    ("sacrifice", SACRIFICE, {"note": "الذبيحة الأولى"}, ACTOR),
    ("video", VIDEO, {"sacrifice_id": str(SACRIFICE), "size": 734_003_200, "media_type": "video/mp4"}, "box"),
    ("sacrifice", SACRIFICE, {"state": "recorded"}, "box"),
    ("verdict", VIDEO, {
        "outcome": "review", "body": {
            "scores": [0.5, 1.0, -0.25], "no": None, "yes": True, "whole": [0, 127, 128, -32, -33, -129, 65_536, 2**40],
            "by name": {"é": 1, "z": 2, "a" * 40: 3}, "many": list(range(16)), "said": "بسم الله " * 40,
        },
    }, "box"),
]  # fmt: skip


def chain() -> list[Op]:
    ops: list[Op] = []
    prev = GENESIS
    for seq, (entity, key, patch, actor) in enumerate(WRITES, 1):
        ops.append(Op(NODE, seq, hlc.pack(NOW_MS + seq, seq % 3), entity, key, patch, actor, prev))
        prev = op_hash(ops[-1])
    return ops


def signed(*ops: Op) -> Batch:
    return pack(ops, sign_op(KEY, op_hash(ops[-1])))


def keys() -> Any:
    public = {"box signs": KEY.public, "box opens": SEAL_KEY.public, "hub signs": HUB_KEY.public,
              "hub opens": HUB_SEAL_KEY.public}
    return [{"name": name, "secret": secret, "public": public[name].raw, "id": public[name].id}
            for name, secret in SECRETS.items()]


def stamps() -> Any:
    last, soon, limit = hlc.pack(NOW_MS, 7), hlc.pack(NOW_MS + 5), hlc.pack(NOW_MS + hlc.MAX_LEAD_MS)
    own = [0, soon, limit, hlc.pack(NOW_MS + 86_400_000)]
    return {
        "pack": [{"ms": ms, "counter": n, "stamp": hlc.pack(ms, n)}
                 for ms, n in ((0, 0), (NOW_MS, 0), (NOW_MS, 65_535), (2**47 - 1, 1))],
        "tick": [{"last": last, "now_ms": now_ms, "stamp": hlc.tick(last, now_ms)}
                 for now_ms in (NOW_MS - 9, NOW_MS, NOW_MS + 1)],
        "admit": [{"last": last, "own": each, "now_ms": NOW_MS, "stamp": hlc.admit(last, each, NOW_MS)}
                  for each in own],
    }


def ops() -> Any:
    return [{"op": msgspec.structs.asdict(op), "bytes": encode(op), "hash": op_hash(op),
             "signature": sign_op(KEY, op_hash(op))} for op in chain()]


def messages() -> Any:
    feed = [Change(8, "animal", UUID(int=1), {"tag": "0817", "species": "cow"}), Change(9, "share", UUID(int=2), None)]
    parked = [Parked(3, "bad_op", "video.length does not exist")]
    named: dict[str, msgspec.Struct] = {
        "nothing new": Exchange(NODE, 41),
        "all five ops": Exchange(NODE, 0, signed(*chain())),
        "the last two ops": Exchange(NODE, 7, signed(*chain()[3:])),
        "no news": Exchanged(5, NOW_MS, 41),
        "news": Exchanged(5, NOW_MS, 9, feed, more=True, parked=parked),
        "nothing new, and how do we stand": Exchange(NODE, 41, mark=b"\x07" * 8, check=True),
        "no news, and this is how": Exchanged(
            5, NOW_MS, 41, hash=op_hash(chain()[-1]), mark=b"\x07" * 8, digest=Tree(told()).hash()),
        "again from the start": Exchanged(5, NOW_MS, 9, feed, more=True, mark=b"\x01" * 8, again=True),
        "shut out": Exchanged(5, NOW_MS, 41, revoked=True),
        "where do we differ": Compare(NODE, 41, b"\x07" * 8, [Ask("", bytes(16))]),
        "which ops do you hold": Compare(NODE, seqs=[1, 3, 9]),
        "there": answer({name: Change(n, *name, fields) for n, (name, fields) in enumerate(told().items(), 1)},
                        [Ask("", bytes(16)), Ask("0", bytes(16))]),
        "those": Compared(hashes=[op_hash(chain()[0]), op_hash(chain()[2]), b""]),
        "another name, please": enrolment.renew(NODE, 3, op_hash(chain()[2]), HUB_KEY, SEAL_KEY.public),
        "a box asks to join": enrolment.enrol("0008-1g81-860w-40j2", KEY, SEAL_KEY.public, "North gate"),
        "a box asks for its name again": enrolment.enrol(
            "0008-1g81-860w-40j2", KEY, SEAL_KEY.public, "North gate", NODE),
        "it has joined": Enrolled(NODE, SITE, HUB_KEY.public.raw, SEAL_KEY.public.raw),
    }
    return [{"name": name, "kind": type(message).__name__, "bytes": encode(message)}
            for name, message in named.items()]


def refused() -> Any:
    """What a hub that holds the first three ops must answer with an error, and with which."""
    third, fourth, fifth = chain()[2:]
    good = signed(fourth, fifth)
    lines = [good.lines[0], msgspec.structs.replace(good.lines[1], actor="somebody else")]
    cases: list[tuple[str, str, Exchange]] = [
        ("op 4 is missing", "gap", Exchange(NODE, 0, signed(fifth))),
        ("an op was changed", "bad_signature", Exchange(NODE, 0, msgspec.structs.replace(good, lines=lines))),
        ("a signature of another op", "bad_signature", Exchange(NODE, 0, pack([fourth, fifth], signed(fourth).sig))),
        ("op 4 comes after another op 3", "fork",
         Exchange(NODE, 0, signed(msgspec.structs.replace(fourth, prev=GENESIS)))),
        ("an op 3 that is not the one held", "fork",
         Exchange(NODE, 0, signed(msgspec.structs.replace(third, actor="box 2")))),
        ("a batch without ops", "bad_input", Exchange(NODE, 0, msgspec.structs.replace(good, lines=[]))),
        ("a later version", "bad_version", Exchange(NODE, 0, version=2)),
        ("a batch of another box", "forbidden",
         Exchange(NODE, 0, signed(msgspec.structs.replace(fourth, node=SITE)))),
    ]
    return [{"why": why, "code": code, "bytes": encode(exchange)} for why, code, exchange in cases]


def merges() -> Any:
    """Ops of one record in the order in which a hub met them, and the record after all of them."""
    box, other = NODE, SITE

    def write(hlc_: int, node: UUID, entity: str, patch: dict[str, Any]) -> Op:
        return Op(node, 1, hlc_, entity, SACRIFICE, patch, "box", GENESIS)

    logs = {
        "the latest note": [
            write(2, box, "sacrifice", {"note": "b"}), write(3, other, "sacrifice", {"note": "c"}),
            write(1, box, "sacrifice", {"note": "a"}),
        ],
        "equal stamps: the higher node": [
            write(1, other, "sacrifice", {"note": "low"}), write(1, box, "sacrifice", {"note": "high"}),
        ],
        "equal stamps and nodes: the higher bytes": [
            write(1, box, "sacrifice", {"note": "b"}), write(1, box, "sacrifice", {"note": "a"}),
        ],
        "a state goes forward and keeps its first stamp": [
            write(5, box, "sacrifice", {"state": "recorded"}), write(9, other, "sacrifice", {"state": "opened"}),
            write(7, other, "sacrifice", {"state": "recorded"}),
        ],
        "the first of three animals": [
            write(2, box, "sacrifice", {"animal_id": "b"}), write(1, other, "sacrifice", {"animal_id": "a"}),
            write(3, other, "sacrifice", {"animal_id": "b"}), write(4, box, "sacrifice", {"animal_id": "c"}),
        ],
        "the hub names an animal": [write(1, HUB, "animal", {"site_id": str(SITE), "tag": "0817", "pen": "3"})],
    }
    records = []
    for name, log in logs.items():
        record: dict[str, Cell] = {}
        for op in log:
            record = merge(record, op).record
        records.append({
            "name": name,
            "ops": [{"hlc": op.hlc, "node": op.node, "entity": op.entity, "patch": op.patch} for op in log],
            "record": record,
        })
    return records


def enrolments() -> Any:
    entropies = [bytes(10), b"\xff" * 10, bytes(range(10))]
    return [{"entropy": entropy, "code": enrolment.new_code(entropy),
             "tidy": enrolment.tidy_code(enrolment.new_code(entropy))} for entropy in entropies]


def told() -> dict[tuple[str, UUID], dict[str, Any]]:
    """A site feed of twenty animals."""
    return {("animal", UUID(int=n)): {"tag": f"{n:04}", "species": "sheep"} for n in range(20)}


def digests() -> Any:
    tree = Tree(told())
    records = [[*name, fields] for name, fields in told().items()]
    return [{"records": records, "hashes": {prefix: tree.hash(prefix) for prefix in ("", "0", "9", "c", "ff")}}]


def given_receipts() -> Any:
    blob_id = "0f" * 32
    fields = receipts.sign(receipts.Receipt(blob_id, 1_048_576, NOW_MS), HUB_KEY)
    return [{"key": receipts.key(blob_id), "fields": fields}]


def possessions() -> Any:
    """Proofs that whoever makes a call holds the box's key."""
    call = {"method": "POST", "path": "/sync/v1/exchange", "token": "e30.e30.AAAA", "now_ms": NOW_MS}
    return [{**call, "proof": tokens.possession(KEY, call["method"], call["path"], call["token"], now_ms=NOW_MS)}]


def assertions() -> Any:
    aud = tokens.audience(HUB_KEY.public)
    proof = tokens.assertion(KEY, NODE, aud, now_ms=NOW_MS, jti=VIDEO)
    return [{"node": NODE, "aud": aud, "now_ms": NOW_MS, "jti": VIDEO, "assertion": proof,
             "form": tokens.to_form(proof).decode()}]


class Site(MemoryStick):
    """A box with the ops of the other vectors and a small blob, and its stick."""

    content = bytes(range(256)) * 10

    def position(self) -> Position:
        return Position(NODE, len(WRITES), acked=1, cursor=7)

    def batch(self, after: int, max_ops: int, max_bytes: int) -> Batch | None:
        return signed(*chain()[after:])

    def hash_at(self, seq: int) -> bytes:
        return op_hash(chain()[seq - 1])

    def outgoing(self) -> list[Outgoing]:
        return [Outgoing(hashlib.sha256(self.content).hexdigest(), len(self.content), "original", VIDEO)]

    def read_blob(self, blob_id: str, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


def bundles() -> Any:
    """One bundle of a box, file by file. Sealing is random: what was sealed once is kept, and still opens."""
    path = FOLDER / "bundles.json"
    old = json.loads(path.read_text("utf-8")) if path.exists() else {"letters": []}
    sealed_before = {bytes.fromhex(each["plain"]): bytes.fromhex(each["sealed"]) for each in old["letters"]}
    letters = []

    def seal(body: bytes) -> bytes:
        plain = zlib.decompress(body)
        letter = sealed_before.get(plain) or sealed.seal(body, [HUB_SEAL_KEY.public])
        letters.append({"plain": plain, "sealed": letter})
        return letter

    site, sender = Site(), bundle.Sender(NODE, KEY, HUB_SEAL_KEY.public, seal)
    blobs = SimpleNamespace(read=site.read_blob)
    bundle.export(sender, site, blobs, site, part_bytes=1000)  # type: ignore[arg-type]
    return {"letters": letters, "files": dict(sorted(site.files.items()))}


def sealed_files() -> Any:
    """Files sealed for box and hub in segments of 32 bytes, and what is wrong with others. As random as letters."""
    path = FOLDER / "sealed.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {"whole": []}
    before = {bytes.fromhex(each["plain"]): bytes.fromhex(each["sealed"]) for each in kept["whole"]}
    plains = [b"", b"one segment", bytes(range(64)), bytes(range(100))]
    whole = {plain: before.get(plain) or _sealed(plain) for plain in plains}
    good = whole[plains[-1]]
    head, segment = len(good) - 4 * 28 - 100, 32 + 28
    damaged = {
        "the final segment is missing": good[:-32],
        "it ends within a segment": good[:-1],
        "two segments have changed places": (
            good[:head] + good[head + segment : head + 2 * segment] + good[head : head + segment]
            + good[head + 2 * segment :]),
        "a bit of a segment": _flipped(good, len(good) - 40),
        "a bit of the commitment": _flipped(good, 50),
        "a bit of the segment size": _flipped(good, 10),
    }  # fmt: skip
    return {
        "whole": [{"plain": plain, "sealed": sealed, "blob_id": hashlib.sha256(sealed).hexdigest()}
                  for plain, sealed in whole.items()],
        "damaged": [{"what": what, "sealed": sealed} for what, sealed in damaged.items()],
    }


def _sealed(plain: bytes) -> bytes:
    out = io.BytesIO()
    sealer = sealed.Sealer.begin(out.write, [SEAL_KEY.public, HUB_SEAL_KEY.public], segment_size=32)
    sealer.write(plain)
    sealer.finish()
    return out.getvalue()


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def vectors() -> dict[str, str]:
    """Every file of vectors, by its name."""
    made = {"keys": keys, "stamps": stamps, "ops": ops, "messages": messages, "refused": refused, "merges": merges,
            "enrolments": enrolments, "assertions": assertions, "digests": digests, "receipts": given_receipts,
            "possessions": possessions, "bundles": bundles, "sealed": sealed_files}
    return {f"{name}.json": json.dumps(_plain(make()), ensure_ascii=False, indent=1) + "\n"
            for name, make in made.items()}


def _plain(value: Any) -> Any:
    """As JSON would have it, with bytes in hex and structs as they are on the wire."""
    match msgspec.to_builtins(value, builtin_types=(bytes,)):
        case bytes(raw):
            return raw.hex()
        case dict(fields):
            return {name: _plain(field) for name, field in fields.items()}
        case list(items) | tuple(items):
            return [_plain(item) for item in items]
        case other:
            return other


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in vectors().items():
        (FOLDER / name).write_text(text, "utf-8")
