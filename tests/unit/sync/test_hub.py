"""What the hub makes of a batch: new, old, in part old, too early, of another history."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.crypto import SigningKey
from shared.errors import QurbaniError
from sync import hlc, hub
from sync.messages import MAX_MESSAGE_BYTES, Exchange, to_wire
from sync.ops import MAX_BATCH_OPS, Batch, Line
from tests.unit.sync.chains import KEY, NODE, Chain, notes

NOW_MS = 1_780_000_000_000


@dataclass
class Held:
    """A hub that keeps hashes and stamps, as its database would."""

    hashes: list[bytes]
    stamp: int = 0

    @property
    def acked(self) -> int:
        return len(self.hashes) - 1

    def take(self, batch: Batch, now_ms: int = NOW_MS) -> list[hub.Fresh]:
        held = self.hashes[hub.joint(batch, self.acked)]
        fresh = hub.accept(batch, KEY.public, acked=self.acked, held=held, stamp=self.stamp, now_ms=now_ms)
        for each in fresh:
            self.hashes.append(each.hash)
            self.stamp = each.stamp
        return fresh


def empty() -> Held:
    return Held(hashes=notes(0).hashes[:1])


def refusal(work: Any, *args: Any) -> QurbaniError:
    with pytest.raises(QurbaniError) as refused:
        work(*args)
    return refused.value


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 11)), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_overlapping_repeated_pieces_are_taken_once_each(pieces: list[tuple[int, int]]) -> None:
    chain, held, taken = notes(12), empty(), []
    for first, more in [*pieces, (1, 11)]:
        batch = chain.batch(first, min(12, first + more))
        if batch.first > held.acked + 1:
            assert refusal(held.take, batch).facts == {"acked": held.acked}
        else:
            taken += held.take(batch)
    assert [each.op for each in taken] == chain.ops
    assert held.hashes == chain.hashes


def test_ops_that_are_missing_before_a_batch_are_a_gap_that_says_where_to_go_on() -> None:
    chain, held = notes(5), empty()
    held.take(chain.batch(1, 2))
    gap = refusal(held.take, chain.batch(4, 5))
    assert (gap.code, gap.facts, gap.retry) == ("gap", {"acked": 2}, True)
    assert held.acked == 2


@pytest.mark.parametrize(
    ("first", "last"), [(4, 5), (3, 5), (1, 5), (1, 3), (3, 3)],
    ids=["after the acked", "over the end", "over all", "all old", "one old"])
def test_a_cloned_box_is_found_by_its_other_history(first: int, last: int) -> None:
    ours, held = notes(2), empty()
    clone = ours.clone()
    for chain, name in ((ours, "ours"), (clone, "the clone's")):
        for _ in range(3):
            chain.write("sacrifice", UUID(int=1), {"note": name})
    held.take(ours.batch(1, 3))
    fork = refusal(held.take, clone.batch(first, last))
    assert (fork.code, fork.retry) == ("fork", False)
    assert held.hashes == ours.hashes[:4]


def test_a_batch_of_another_key_or_with_a_changed_op_is_refused() -> None:
    stranger = Chain(key=SigningKey(b"x" * 32))
    stranger.write("sacrifice", UUID(int=1), {"note": "hello"})
    assert refusal(empty().take, stranger.batch()).code == "bad_signature"
    batch = notes(3).batch()
    lines = [*batch.lines[:1], msgspec.structs.replace(batch.lines[1], patch={"note": "forged"}), batch.lines[2]]
    assert refusal(empty().take, msgspec.structs.replace(batch, lines=lines)).code == "bad_signature"


def test_a_batch_has_bounds() -> None:
    batch = notes(1).batch()
    assert refusal(empty().take, msgspec.structs.replace(batch, lines=[])).code == "bad_input"
    many = msgspec.structs.replace(batch, lines=batch.lines * (MAX_BATCH_OPS + 1))
    assert refusal(empty().take, many).code == "too_large"
    odd = Line(1, "sacrifice", UUID(int=1), {"note": {1: 2}}, "box")
    assert refusal(empty().take, msgspec.structs.replace(batch, lines=[odd])).code == "bad_input"


def test_a_box_a_day_ahead_keeps_its_order_and_does_not_win_against_tomorrow() -> None:
    chain, held = Chain(), empty()
    day_ahead = hlc.pack(NOW_MS + 86_400_000)
    for n in range(100):
        chain.write("sacrifice", UUID(int=1), {"note": str(n)}, hlc=day_ahead + n)
    stamps = [fresh.stamp for fresh in held.take(chain.batch(1, 50)) + held.take(chain.batch(51), NOW_MS + 10)]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] < hlc.pack(NOW_MS + hlc.MAX_LEAD_MS + 11)


def test_an_honest_boxs_stamps_stay_as_they_are() -> None:
    chain = Chain()
    for n in range(3):
        chain.write("sacrifice", UUID(int=1), {"note": "x"}, hlc=hlc.pack(NOW_MS - 86_400_000 + n, n))
    assert [fresh.stamp for fresh in empty().take(chain.batch())] == [op.hlc for op in chain.ops]


def test_an_exchange_is_of_the_box_that_is_signed_in() -> None:
    exchange = Exchange(NODE, 3, notes(2).batch())
    assert hub.read_exchange(to_wire(exchange), NODE) == exchange
    assert refusal(hub.read_exchange, to_wire(exchange), UUID(int=9)).code == "forbidden"
    smuggled = Exchange(UUID(int=9), 3, notes(2).batch())
    assert refusal(hub.read_exchange, to_wire(smuggled), UUID(int=9)).code == "forbidden"


def test_a_version_that_is_not_spoken_is_named() -> None:
    error = refusal(hub.read_exchange, to_wire(Exchange(NODE, 0, version=2)), NODE)
    assert (error.code, error.facts) == ("bad_version", {"versions": [1]})


def test_a_body_of_another_shape_is_a_clear_error() -> None:
    bomb = zlib.compress(bytes(5 * MAX_MESSAGE_BYTES))
    assert refusal(hub.read_exchange, bomb, NODE).code == "too_large"
    whole = to_wire(Exchange(NODE, 0))
    deep = zlib.compress(b"\x81\xa4node" + b"\x91" * 100_000)
    for body in (b"", b"hello", whole[:-1], whole + b"!", zlib.compress(b"\xc1"), zlib.compress(b"\x80"), deep,
                 zlib.compress(b"\x81\xa1\xff\x00")):
        assert refusal(hub.read_exchange, body, NODE).code == "bad_input"
