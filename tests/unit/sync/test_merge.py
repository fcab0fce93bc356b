"""Merging: any order, any grouping, any repetition of the same ops gives one record, the one the oracle gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.fields import FIELDS, LATTICES
from shared.domain.machine import Machine
from shared.errors import QurbaniError
from sync import merge as merging
from sync.merge import MAX_RIVALS, Cell, Record, check, join, merge, values
from sync.ops import GENESIS, HUB, MAX_PATCH_BYTES, Op, encode

KEY = UUID(int=7)
BOXES = [UUID(int=n) for n in (1, 2, 3)]
STEPS = Machine("trial", {"begun": ("half",), "half": ("done",), "done": ()})
TRIAL = {
    "last": "last_writer",
    "once": "write_once",
    "step": "lattice",
    "hub": "cloud_only",
    "box": "edge_only",
    "bag": "set_union",
    "case": "review",
}


@pytest.fixture(scope="module", autouse=True)
def trial() -> Iterator[None]:
    """An entity with one field of each policy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FIELDS, "trial", TRIAL)
        patch.setitem(LATTICES, ("trial", "step"), STEPS)
        yield


def op(patch: dict[str, Any], *, hlc: int = 1, node: UUID = BOXES[0], entity: str = "trial") -> Op:
    return Op(node, 1, hlc, entity, KEY, patch, "box", GENESIS)


def replay(ops: Sequence[Op]) -> dict[str, Cell]:
    return reduce(lambda record, next_op: merge(record, next_op).record, ops, {})


# Few values and few stamps, so that ties, repetitions and the twins 1, 1.0, True and 0, False are common.
plain = st.sampled_from([0, 1, 1.0, True, False, None, "a", "b", [1], [1.0], {"x": 1}])


@st.composite
def an_op(draw: st.DrawFn) -> Op:
    node = draw(st.sampled_from([*BOXES, HUB]))
    choices: dict[str, st.SearchStrategy[Any]] = {
        "last": plain,
        "once": plain,
        "step": st.sampled_from(STEPS.states),
        "hub" if node == HUB else "box": plain,
        "bag": st.lists(plain, max_size=3),
        "case": plain,
    }
    fields = draw(st.sets(st.sampled_from(sorted(choices)), min_size=1, max_size=3))
    return op({field: draw(choices[field]) for field in sorted(fields)}, hlc=draw(st.integers(1, 6)), node=node)


logs = st.lists(an_op(), max_size=14)


def oracle(ops: Sequence[Op]) -> dict[str, tuple[bytes, int, UUID, frozenset[bytes]]]:
    """What each field must show, by replaying the whole log: value, stamp, node and the other values kept."""
    shown = {}
    for field, policy in TRIAL.items():
        writes = sorted((o.hlc, o.node, encode(o.patch[field]), o.patch[field]) for o in ops if field in o.patch)
        if not writes:
            continue
        others: list[bytes] = []
        if policy == "write_once":
            winner = writes[0]
            others = list(dict.fromkeys(w[2] for w in writes if w[2] != winner[2]))[:MAX_RIVALS]
        elif policy == "lattice":
            best = max(STEPS.rank(w[3]) for w in writes)
            winner = next(w for w in writes if STEPS.rank(w[3]) == best)
        elif policy == "set_union":
            items = sorted({encode(item): item for w in writes for item in w[3]}.items())
            winner = (*writes[-1][:2], encode([item for _, item in items]), None)
        elif policy == "review":
            last_of = {w[1]: w for w in writes}
            decided = last_of.get(HUB, writes[0])
            standing = sorted(w for w in last_of.values() if w[:3] >= decided[:3])
            winner, others = standing[-1], [w[2] for w in standing[:-1]]
        else:
            winner = writes[-1]
        shown[field] = (winner[2], winner[0], winner[1], frozenset(others) - {winner[2]})
    return shown


def as_oracle(record: Record) -> dict[str, tuple[bytes, int, UUID, frozenset[bytes]]]:
    return {
        field: (encode(cell.value), cell.hlc, cell.node,
                frozenset(encode(rival.value) for rival in cell.rivals) - {encode(cell.value)})
        for field, cell in record.items()
    }


def same(a: Record, b: Record) -> bool:
    return encode(a) == encode(b)


@given(logs, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_order_and_any_repetition_gives_what_the_oracle_gives(ops: list[Op], chance: Any) -> None:
    shuffled = [*ops, *(o for o in ops if chance.random() < 0.3)]
    chance.shuffle(shuffled)
    assert same(replay(ops), replay(shuffled))
    assert as_oracle(replay(shuffled)) == oracle(ops)


@given(logs, logs, logs)
@settings(max_examples=100, deadline=None)
def test_join_is_commutative_associative_and_idempotent(one: list[Op], two: list[Op], three: list[Op]) -> None:
    a, b, c = replay(one), replay(two), replay(three)
    assert same(join("trial", a, b), join("trial", b, a))
    assert same(join("trial", join("trial", a, b), c), join("trial", a, join("trial", b, c)))
    assert same(join("trial", a, a), a)
    assert same(join("trial", a, b), replay([*one, *two])), "splitting the log changes nothing"


@given(logs, an_op())
@settings(max_examples=100, deadline=None)
def test_merging_only_goes_up(ops: list[Op], new: Op) -> None:
    """Monotone: what was known before is contained in what is known after."""
    before = replay(ops)
    after = merge(before, new).record
    assert same(join("trial", before, after), after)
    assert STEPS.rank(values(after).get("step", "begun")) >= STEPS.rank(values(before).get("step", "begun"))


@given(logs, an_op())
@settings(max_examples=100, deadline=None)
def test_changed_names_exactly_the_fields_that_show_something_else(ops: list[Op], new: Op) -> None:
    before = replay(ops)
    merged = merge(before, new)
    differ = {field for field, cell in merged.record.items()
              if field not in before or encode(before[field].value) != encode(cell.value)}
    assert set(merged.changed) == differ
    again = merge(merged.record, new)
    assert again.changed == again.conflicts == ()
    assert same(again.record, merged.record)


@given(logs)
@settings(max_examples=50, deadline=None)
def test_a_stored_record_goes_on_as_if_it_had_never_left_memory(ops: list[Op]) -> None:
    record: dict[str, Cell] = {}
    for each in ops:
        record = merge(record, each).record
        record = msgspec.msgpack.decode(encode(record), type=dict[str, Cell])
    assert same(record, replay(ops))


def test_a_planted_mistake_is_caught_by_the_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: let the last arrival win instead of the last write."""
    monkeypatch.setitem(merging._JOINS, "last_writer", lambda _, newcomer: newcomer)
    ops = [op({"last": "new"}, hlc=2), op({"last": "old"}, hlc=1)]
    assert as_oracle(replay(ops)) != oracle(ops)


@pytest.mark.parametrize("order", [1, -1])
def test_a_second_value_of_a_write_once_field_is_a_conflict_whichever_comes_first(order: int) -> None:
    first, second = op({"once": "a"}, hlc=1), op({"once": "b"}, hlc=2, node=BOXES[1])
    start = merge({}, [first, second][::order][0])
    end = merge(start.record, [first, second][::order][1])
    (conflict,) = end.conflicts
    assert (conflict.kept.value, conflict.other.value) == ("a", "b")
    assert values(end.record) == {"once": "a"}
    assert [rival.value for rival in end.record["once"].rivals] == ["b"]


def test_a_mad_box_cannot_grow_a_record_for_ever() -> None:
    record = replay([op({"once": n}, hlc=n) for n in range(1, 100)])
    assert [record["once"].value, *(rival.value for rival in record["once"].rivals)] == list(range(1, MAX_RIVALS + 2))


def test_a_decision_of_the_hub_ends_a_case_and_a_later_write_reopens_it() -> None:
    case = [op({"case": "slaughtered at 9"}, hlc=1), op({"case": "slaughtered at 10"}, hlc=2, node=BOXES[1])]
    decided = op({"case": "slaughtered at 9"}, hlc=3, node=HUB)
    assert len(replay(case)["case"].rivals) == 1
    assert replay([*case, decided])["case"].rivals == ()
    assert len(replay([*case, decided, op({"case": "neither"}, hlc=4)])["case"].rivals) == 1


def test_the_hubs_clamped_stamp_counts_not_the_boxs_own() -> None:
    ahead = merge({}, op({"last": "from tomorrow"}, hlc=10**18), stamp=5).record
    corrected = merge(ahead, op({"last": "corrected"}, hlc=6, node=BOXES[1])).record
    assert values(corrected) == {"last": "corrected"}


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (op({"state": "opened"}, entity="sacrifce"), None),
        (op({"stat": "opened"}, entity="sacrifice"), "stat"),
        (op({"state": "eaten"}, entity="sacrifice"), "state"),
        (op({"state": ["opened"]}, entity="sacrifice"), "state"),
        (op({"name": "Ahmed"}, entity="share"), "name"),
        (op({"box": 1}, node=HUB), "box"),
        (op({"bag": "not a list"}), "bag"),
        (op({}), None),
        (op({"once": "x" * MAX_PATCH_BYTES}), None),
        (op({"once": b"raw"}), "once"),
        (op({"once": float("nan")}), "once"),
        (op({"once": 2**63}), "once"),
        (op({"once": "nul\0"}), "once"),
        (op({"once": "half \ud83d"}), "once"),
        (op({"once": {1: 2}}), "once"),
        (op({"once": KEY}), "once"),
        (op({"once": reduce(lambda nest, _: [nest], range(17), 1)}), "once"),
    ],
)
def test_an_op_that_cannot_be_applied_is_refused_by_name(bad: Op, field: str | None) -> None:
    with pytest.raises(QurbaniError) as refused:
        merge({}, bad)
    assert refused.value.code == "bad_op"
    assert refused.value.facts.get("field") == field
    with pytest.raises(QurbaniError):
        check(bad)


def test_an_op_is_applied_whole_or_not_at_all() -> None:
    record: dict[str, Cell] = {}
    with pytest.raises(QurbaniError):
        merge(record, op({"last": "fine", "nonsense": 1}))
    assert record == {}
