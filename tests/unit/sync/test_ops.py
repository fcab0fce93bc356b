"""Ops, batches and stamps on the wire."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import QurbaniError
from sync import hlc
from sync.messages import Exchange, from_wire, to_wire
from sync.ops import Batch, encode, op_hash, verify
from tests.unit.sync.chains import KEY, NODE, Chain, notes

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=8), plain, max_size=4), min_size=1, max_size=5))
def test_what_a_box_signed_is_what_the_hub_verifies(patches: list[dict[str, Any]]) -> None:
    chain = Chain()
    for patch in patches:
        chain.write("sacrifice", UUID(int=1), patch)
    arrived = from_wire(to_wire(Exchange(NODE, 0, chain.batch())), Exchange)
    assert arrived.batch is not None
    verified = verify(arrived.batch, KEY.public)
    assert [op_hash(op) for op, _ in verified] == [digest for _, digest in verified] == chain.hashes[1:]
    assert encode([op for op, _ in verified]) == encode(chain.ops)


def test_the_order_of_a_patchs_fields_does_not_matter() -> None:
    op = notes(1).ops[0]
    one, other = (msgspec.structs.replace(op, patch=patch) for patch in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert op_hash(one) == op_hash(other)


@pytest.mark.parametrize("change", [
    {"first": 0}, {"first": 2**63}, {"first": -1}, {"prev": b"short"}, {"sig": b""}, {"lines": 3}, {"node": b"x"},
])
def test_a_batch_outside_its_bounds_is_not_read(change: dict[str, Any]) -> None:
    batch = notes(1).batch()
    body = to_wire(Exchange(NODE, 0, msgspec.structs.replace(batch, **change)))
    with pytest.raises(QurbaniError) as refused:
        from_wire(body, Exchange)
    assert refused.value.code == "bad_input"


@pytest.mark.parametrize("change", [{"hlc": -1}, {"hlc": 2**63}, {"entity": ""}, {"actor": "a" * 65}, {"key": 1}])
def test_a_line_outside_its_bounds_is_not_read(change: dict[str, Any]) -> None:
    batch = notes(1).batch()
    body = to_wire(Exchange(NODE, 0, Batch(NODE, 1, batch.prev, [msgspec.structs.replace(batch.lines[0], **change)],
                                           batch.sig)))
    with pytest.raises(QurbaniError) as refused:
        from_wire(body, Exchange)
    assert refused.value.code == "bad_input"


def test_an_exchange_without_news_is_a_few_bytes() -> None:
    assert len(to_wire(Exchange(NODE, 1_000_000))) < 60


def test_a_status_change_costs_less_than_60_bytes() -> None:
    """A thousand of a thousand records: the random keys and the stamps are most of it."""
    chain = Chain()
    for n in range(1_000):
        record = UUID(bytes=sha256(b"%d" % n).digest()[:16])
        stamp = hlc.pack(1_780_000_000_000 + n * 7_919)
        actor = f"0198f3c2-0000-7000-8000-00000000000{n % 5}"
        chain.write("sacrifice", record, {"state": "recorded"}, hlc=stamp, actor=actor)
    assert len(to_wire(Exchange(NODE, 0, chain.batch()))) < 60 * 1_000


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**44))
def test_a_stamp_never_runs_backwards_and_never_far_ahead(last: int, own: int, now_ms: int) -> None:
    limit = hlc.pack(now_ms + hlc.MAX_LEAD_MS)
    assert last < hlc.tick(last, now_ms) <= max(last + 1, limit)
    assert last < hlc.admit(last, own, now_ms) <= max(last + 1, limit)
    if last < own <= limit:
        assert hlc.admit(last, own, now_ms) == own


@given(st.integers(0, 2**47 - 1), st.integers(0, 2**16 - 1))
def test_a_stamp_still_means_a_time(ms: int, counter: int) -> None:
    assert hlc.unpack(hlc.pack(ms, counter)) == (ms, counter)
