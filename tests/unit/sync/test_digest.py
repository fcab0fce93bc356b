"""Digests: equal where the records are; a difference is found in a few messages, mended, and counted once."""

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import QurbaniError
from sync import digest
from sync.digest import LEAF, Tree, answer, narrow
from sync.messages import DIGEST, Ask, Change
from tests.unit.sync.world import World

Records = dict[tuple[str, UUID], dict[str, Any]]

names = st.tuples(st.sampled_from(["animal", "share"]), st.integers(0, 60).map(lambda n: UUID(int=n)))
records = st.dictionaries(names, st.fixed_dictionaries({"tag": st.sampled_from(["a", 1, 1.0, True, None])}))


def rows(of: Records) -> dict[tuple[str, UUID], Change]:
    return {name: Change(1, *name, fields) for name, fields in of.items()}


def repaired(ours: Records, theirs: Records) -> tuple[Records, int]:
    """What a box comes to that asks until nothing differs, and the number of its messages."""
    tree = Tree(ours)
    asks, after, messages = [Ask("", tree.hash())], dict(ours), 0
    while asks:
        found = answer(rows(theirs), asks[: digest.MAX_ASKS])
        messages += 1
        further, changes = narrow(tree, found.buckets)
        asks = asks[found.answered:] + further
        for change in changes:
            after.pop((change.entity, change.key), None)
            if change.fields is not None:
                after[change.entity, change.key] = change.fields
    return after, messages


@given(records, records)
@settings(max_examples=100, deadline=None)
def test_whatever_differs_is_mended_and_equal_records_have_equal_roots(ours: Records, theirs: Records) -> None:
    after, _ = repaired(ours, theirs)
    assert repr(sorted(after.items())) == repr(sorted(theirs.items()))
    assert Tree(after).hash() == Tree(theirs).hash()
    assert (Tree(ours).hash() == Tree(theirs).hash()) == (repr(sorted(ours.items())) == repr(sorted(theirs.items())))


@pytest.mark.parametrize("size", [1, 100, 5_000])
def test_one_difference_is_found_in_a_logarithmic_number_of_messages(size: int) -> None:
    theirs: Records = {("animal", UUID(int=n)): {"tag": str(n)} for n in range(size)}
    ours = theirs | {("animal", UUID(int=size // 2)): {"tag": "rotten"}}
    after, messages = repaired(ours, theirs)
    assert after == theirs
    assert messages <= math.ceil(math.log(max(size / LEAF, 1), 16)) + 2


@pytest.mark.parametrize("asks", [[Ask("xyz", b"")], [Ask("", b"")] * 65, [Ask("0" * 65, b"")]])
def test_what_cannot_be_asked_is_refused(asks: list[Ask]) -> None:
    with pytest.raises(QurbaniError, match="bad_input"):
        answer({}, asks)


# In a session


def grown(animals: int = 40) -> World:
    world = World()
    world.hub.page_rows = 1000
    for n in range(animals):
        world.hub.tell(n, {"tag": str(n)})
    world.run()
    return world


@pytest.mark.parametrize("plant", ["changed", "missing", "too much", "all gone"])
def test_a_planted_divergence_is_found_mended_and_counted(plant: str) -> None:
    world = grown()
    animal, ghost = ("animal", UUID(int=7)), ("animal", UUID(int=99))
    match plant:
        case "changed":
            world.box.records_[animal] = {"tag": "rotten"}
        case "missing":
            del world.box.records_[animal]
        case "too much":
            world.box.records_[ghost] = {"tag": "never told"}
        case "all gone":
            world.box.records_.clear()
    world.run()
    assert world.hub.divergences == 0, "without news it is looked at only now and then"
    world.hub.tell(1, {"tag": "news"})
    world.run()
    assert world.box.records_ == world.hub.told()
    assert world.box.repairs == 1
    assert 1 <= world.hub.divergences <= (16 if plant == "all gone" else 1)
    before = world.hub.divergences
    world.run()
    assert world.hub.divergences == before, "mended, it is not found again"


def test_a_rotten_record_is_found_without_any_news_within_ten_minutes() -> None:
    world = grown()
    world.box.records_["animal", UUID(int=7)] = {"tag": "rotten"}
    for clock in (world.box.clock, world.hub.clock):
        clock.advance(600_001)
    world.run()
    assert (world.box.records_, world.hub.divergences) == (world.hub.told(), 1)


def test_a_feed_that_moves_meanwhile_is_read_first_and_is_no_divergence() -> None:
    world = grown()
    world.box.records_["animal", UUID(int=7)] = {"tag": "rotten"}
    world.hub.tell(1, {"tag": "news"})
    told = []

    def news_arrive(call: Any) -> None:
        if call.path == DIGEST and not told:
            told.append(world.hub.tell(2, {"tag": "more news"}))

    world.line.before_call = news_arrive
    world.run()
    assert (world.hub.divergences, world.box.repairs) == (0, 0)
    world.run()
    assert (world.box.records_, world.hub.divergences) == (world.hub.told(), 1)


# A hub that was put back


def put_back(world: World, to: dict[str, Any]) -> None:
    world.hub.__dict__.update(to)


def state(world: World) -> dict[str, Any]:
    hub = world.hub
    return {"rows": dict(hub.rows), "marks": dict(hub.marks), "cursor": hub.cursor, "chains": {
        node: list(chain) for node, chain in hub.chains.items()}, "ops": list(hub.ops), "records": dict(hub.records)}


@pytest.mark.parametrize("afterwards", [0, 1, 5, 30])
def test_a_hub_that_was_put_back_is_given_what_it_lost_and_tells_again(afterwards: int) -> None:
    world = World()
    for n in range(10):
        world.hub.tell(n, {"tag": str(n)})
    world.run()
    backup = state(world)
    for n in range(5):
        world.hub.tell(10 + n, {"tag": "told in the lost hour"})
        world.box.write("sacrifice", UUID(int=n), {"note": "sent in the lost hour"})
    blob_id = world.box.seal(b"sent in the lost hour")
    world.run()
    assert world.box.sent_blobs == [blob_id]
    put_back(world, backup)
    for n in range(afterwards):
        world.hub.tell(5 + n, {"tag": "told since"})
    world.run_until_quiet()
    world.run()
    assert world.hub.ops == world.box.chain.ops
    assert world.box.records_ == world.hub.told()
    assert world.box.sent_blobs == [blob_id], "found at the hub again, and its receipt given again"
    assert world.hub.divergences == world.box.repairs == 0, "it was told again, not mended"


def test_while_it_reads_again_a_box_keeps_what_it_has() -> None:
    world = World()
    for n in range(10):
        world.hub.tell(n, {"tag": str(n)})
    world.run()
    backup = state(world)
    world.hub.tell(3, {"tag": "in the lost hour"})
    world.run()
    put_back(world, backup)
    world.line.faults = ["none", "request lost"]
    seen = []
    world.line.before_call = lambda call: seen.append(len(world.box.records_))
    world.run_until_quiet()
    assert min(seen) == 10
    assert world.box.records_ == world.hub.told()
