"""Where a file comes from, signed: every bit of it counts, and a capture that was taken away is missed."""

from __future__ import annotations

import hashlib
import io
import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.crypto import SigningKey
from shared.domain.verdict import Model, Reason, Verdict
from shared.errors import QurbaniError
from shared.evidence import manifest
from shared.evidence.manifest import (
    FIRST,
    Capture,
    Derived,
    Manifest,
    Moment,
    Signed,
    Signer,
    judged,
    read,
    sign,
    verify,
    verify_chains,
)
from shared.ids import new_id

KEY = SigningKey.generate()
NODE, VIDEO = new_id(), new_id()
CONTENT = bytes(range(256)) * 2
VERDICT = Verdict("review", "1", reasons=(Reason("no_sound"), Reason("person_unsure")), detector=Model("eyes", "1"))


def capture(number: int = 1, previous: str = FIRST, content: bytes = CONTENT, node: UUID = NODE) -> Manifest:
    return Manifest(
        node, VIDEO, hashlib.sha256(content).hexdigest(), len(content), "video/mp4",
        Capture(number, previous, Moment(1_780_000_000_000, 60_000, "boot-0", 1_500)),
        manifest.versions("0.1.0", VERDICT), 1_780_000_005_000, judged(VERDICT),
    )  # fmt: skip


def chain(count: int, node: UUID = NODE) -> list[Manifest]:
    found, previous = [], FIRST
    for number in range(1, count + 1):
        content = f"video {number}".encode()
        found.append(capture(number, previous, content, node))
        previous = hashlib.sha256(content).hexdigest()
    return found


SIGNERS = {NODE: Signer((KEY.public.raw.hex(),))}
FILE = sign(KEY, capture())


def broken(data: bytes, content: bytes = CONTENT) -> list[str]:
    """What a verifier that knows the keys of the boxes finds."""
    try:
        return [each.code for each in verify(read(data), "a", io.BytesIO(content), SIGNERS)]
    except QurbaniError as error:
        return [error.code]


def test_what_was_signed_is_read() -> None:
    assert read(FILE) == Signed(capture(), KEY.public)
    assert broken(FILE) == []
    plain = json.loads(FILE)["manifest"]
    assert plain["origin"] == {"type": "capture", "number": 1, "previous": FIRST, "captured": {
        "wall_ms": 1_780_000_000_000, "mono_ms": 60_000, "boot": "boot-0", "uncertain_ms": 1_500}}  # fmt: skip
    assert plain["versions"] == {"software": "0.1.0", "rules": "1", "detector": "eyes 1"}
    assert plain["judged"]["reasons"] == ["no_sound", "person_unsure"]


def test_every_bit_of_the_manifest_counts() -> None:
    for at in range(len(FILE)):
        for bit in range(8):
            flipped = bytearray(FILE)
            flipped[at] ^= 1 << bit
            assert broken(bytes(flipped)), (at, bit)


def test_every_bit_of_the_video_counts() -> None:
    for at in range(len(CONTENT)):
        flipped = bytearray(CONTENT)
        flipped[at] ^= 1 << at % 8
        assert broken(FILE, bytes(flipped)) == ["wrong_hash"]


@given(st.integers(0, len(FILE)), st.binary(max_size=4), st.integers(0, 4))
def test_bytes_put_in_or_taken_out_are_found(at: int, more: bytes, fewer: int) -> None:
    other = FILE[:at] + more + FILE[at + fewer :]
    assert (broken(other) == []) == (other == FILE)


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT + b"\0", b""])
def test_a_file_of_another_length(other: bytes) -> None:
    assert broken(FILE, other) == ["wrong_size"]


def test_another_way_to_write_the_same_is_another_file() -> None:
    document = json.loads(FILE)
    for text in (json.dumps(document), json.dumps(document, indent=1) + "\n\n"):
        assert broken(text.encode()) == ["not_a_manifest"]
    document["manifest"]["remark"] = "not signed"
    assert broken(json.dumps(document).encode()) == ["not_a_manifest"]


def test_the_signer_must_be_known() -> None:
    stranger = SigningKey.generate()
    assert broken(sign(stranger, capture())) == ["unknown_signer"]
    assert broken(sign(KEY, capture(node=new_id()))) == ["unknown_signer"]
    # Without the hub's keys nobody can say whose it is; that it is whole can be said.
    assert verify(read(sign(stranger, capture())), "a", io.BytesIO(CONTENT), None) == []


def test_a_box_that_was_shut_out_vouches_for_what_it_told_before() -> None:
    closed = {NODE: Signer(SIGNERS[NODE].keys, last=2, closed=True)}
    whole = [read(sign(KEY, each)) for each in chain(3)]
    assert [len(verify(each, "a", None, closed)) for each in whole] == [0, 0, 1]


def test_a_signature_of_something_else_does_not_count() -> None:
    document = json.loads(FILE)
    document["signature"] = json.loads(sign(KEY, capture(2)))["signature"]
    text = (json.dumps(document, indent=1) + "\n").encode()
    with pytest.raises(QurbaniError) as error:
        read(text)
    assert error.value.code in ("bad_signature", "not_a_manifest")


def test_a_whole_chain() -> None:
    assert verify_chains(chain(5)) == []
    assert verify_chains([*chain(3), *chain(4, new_id())][::-1]) == []


@given(st.integers(2, 8), st.data())
def test_a_capture_that_was_taken_away_is_missed(count: int, data: st.DataObject) -> None:
    whole = chain(count)
    gone = data.draw(st.sets(st.integers(1, count - 1), min_size=1))
    left = [each for each in whole if each.origin.number not in gone]  # type: ignore[union-attr]
    found = verify_chains(left)
    assert {each.where for each in found} == {f"{NODE} {number}" for number in gone}
    assert {each.code for each in found} == {"missing"}


def test_the_newest_is_missed_where_the_hub_tells_how_far_the_box_counted() -> None:
    assert verify_chains(chain(3)[:2]) == []
    signers = {NODE: Signer(SIGNERS[NODE].keys, last=3)}
    assert [each.where for each in verify_chains(chain(3)[:2], signers)] == [f"{NODE} 3"]


def test_another_video_in_its_place_is_found() -> None:
    whole = chain(4)
    whole[1] = capture(2, whole[1].origin.previous, b"another video")  # type: ignore[union-attr]
    assert [(each.code, each.where) for each in verify_chains(whole)] == [("wrong_previous", f"{NODE} 3")]
    assert next(each.code for each in verify_chains([*chain(4), whole[1]])) == "twice"


def test_a_derived_file_hangs_on_what_it_was_made_of() -> None:
    original = capture()
    blurred = replace(original, sha256="ab" * 32, origin=Derived(original.sha256, "redact", {"faces": "bystanders"}))
    again = replace(original, sha256="cd" * 32, origin=Derived(blurred.sha256, "enhance"))
    assert read(sign(KEY, blurred)).manifest == blurred
    assert verify_chains([original, blurred, again]) == []
    assert [each.code for each in verify_chains([original, again])] == ["wrong_parent"]
