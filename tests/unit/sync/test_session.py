"""Sessions over a line that fails: everything arrives, once, in the right order, and costs what it must."""

from __future__ import annotations

import random
from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clock import ManualClock
from shared.crypto import SigningKey, UnsealKey, VerifyKey
from shared.errors import QurbaniError
from sync import enrolment, feed, hlc, hub, receipts, session, tokens
from sync.calls import Call, Reply, Steps, drive
from sync.messages import EXCHANGE, TOKEN, Change, Exchange, Exchanged, from_wire
from sync.ops import Batch, unpack
from sync.ports import Outgoing
from sync.session import CALL_S, CHECK_MS, POLL_MS, Session
from tests.unit.sync.chains import KEY, NODE
from tests.unit.sync.world import FAULTS, Box, Cut, Died, Hub, World

KEYS = st.integers(1, 3)
STEPS = st.one_of(
    st.tuples(st.just("note"), KEYS),
    st.tuples(st.just("bad op"), KEYS),
    st.tuples(st.just("tell"), KEYS),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("seal"), st.integers(1, 900_000)),
    st.tuples(st.just("sync"), st.just(0)),
)


def act(world: World, step: str, n: int) -> None:
    match step:
        case "note":
            world.box.write("sacrifice", UUID(int=n), {"note": f"after {len(world.box.chain.ops)}"})
        case "bad op":
            world.box.chain.write("sacrifice", UUID(int=n), {"not": "a field"})
        case "tell":
            world.hub.tell(n, {"tag": f"at {world.hub.cursor}"})
        case "delete":
            world.hub.tell(n, None)
        case "seal":
            world.box.seal(n.to_bytes(4) * (n // 4 + 1))
        case "sync":
            try:
                world.run()
            except (Cut, QurbaniError):
                pass
            except Died:
                world.boot()


def check_everything_arrived_once(world: World) -> None:
    box, hub = world.box, world.hub
    assert hub.divergences == 0
    assert hub.ops == box.chain.ops
    assert box.acked == len(box.chain.ops)
    bad = [op.seq for op in box.chain.ops if "not" in op.patch]
    assert sorted(box.parked) == sorted(hub.parked) == bad
    for (_, key), record in hub.records.items():
        notes = [op.patch["note"] for op in box.chain.ops if op.key == key and "note" in op.patch]
        assert record["note"].value == notes[-1]
    assert box.records_ == hub.told()
    assert sorted(hub.arrived) == sorted(box.sent_blobs) == sorted(box.blobs)
    assert all(hub.uploads[blob_id] == content for blob_id, (_, content) in box.blobs.items())


def story(world: World, steps: list[tuple[str, int]]) -> None:
    for step in steps:
        act(world, *step)
    world.run_until_quiet()
    check_everything_arrived_once(world)


stories = st.lists(STEPS, max_size=12)
faults = st.lists(st.sampled_from(FAULTS), max_size=25)


@given(stories, faults)
@settings(max_examples=250, deadline=None)
def test_over_any_line_everything_arrives_exactly_once(steps: list[tuple[str, int]], faults: list[str]) -> None:
    story(World(faults), steps)


def random_story(seed: int) -> tuple[list[tuple[str, int]], list[str]]:
    chance = random.Random(seed)
    verbs = chance.choices(["note", "bad op", "tell", "delete", "seal", "sync"], k=40)
    steps = [(verb, chance.randint(1, 900_000) if verb == "seal" else chance.randint(1, 3)) for verb in verbs]
    return steps, chance.choices(FAULTS, weights=[6, *[1] * (len(FAULTS) - 1)], k=80)


@pytest.mark.parametrize("block", range(4))
def test_long_stories(block: int) -> None:
    for seed in range(block * 25, block * 25 + 25):
        steps, faults = random_story(seed)
        story(World(faults), steps)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_many_long_stories(block: int) -> None:
    for seed in range(1_000 + block * 300, 1_300 + block * 300):
        steps, faults = random_story(seed)
        story(World(faults), steps)


class SaysSentTooEarly(Session):
    """Planted: a blob counts as sent when its upload begins."""

    def _send_piece(self, blob: Outgoing) -> Steps[bool]:
        self._store.sent(blob.blob_id)
        return (yield from super()._send_piece(blob))


class MovesCursorFirst(Box):
    """Planted: the cursor moves in one transaction, the records in another."""

    def apply(self, page: feed.Page) -> None:
        self.cursor, self.mark = page.cursor, page.mark
        super().apply(page)


class AcknowledgesFirst(Hub):
    """Planted: the hub moves on in one transaction and stores the ops in another."""

    def _store(self, fresh: Sequence[hub.Fresh]) -> None:
        self.advance(fresh)
        self.transaction()
        self.keep(fresh)


class TakesOldOpsAgain(Hub):
    """Planted: an op that comes again is kept again."""

    def _fresh(self, node: UUID, batch: Batch) -> list[hub.Fresh]:
        fresh = super()._fresh(node, batch)
        old = list(unpack(batch))[: len(batch.lines) - len(fresh)]
        self.keep([hub.Fresh(op, digest, op.hlc) for op, digest in old])
        return fresh


@pytest.mark.parametrize("planted", [
    {"session": SaysSentTooEarly}, {"box": MovesCursorFirst}, {"to": AcknowledgesFirst}, {"to": TakesOldOpsAgain},
], ids=lambda planted: next(iter(planted.values())).__name__)
def test_a_planted_mistake_is_caught(planted: dict[str, type]) -> None:
    for seed in range(100):
        steps, faults = random_story(seed)
        try:
            story(World(faults, **planted), steps)
        except (AssertionError, QurbaniError):
            return
    pytest.fail("no story told them apart")


def paths(world: World) -> list[str]:
    return [call.path for call in world.line.calls]


def exchanges(world: World) -> list[Exchange]:
    return [from_wire(call.body, Exchange) for call in world.line.calls if call.path == EXCHANGE]


def refusal(world: World) -> QurbaniError:
    with pytest.raises(QurbaniError) as refused:
        world.run()
    return refused.value


def wire_bytes(call: Call, reply: Reply) -> int:
    """What HTTP/1.1 sends for both, without what the libraries add (host, date, user agent)."""
    head = f"{call.method} {call.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in call.headers.items())
    back = "HTTP/1.1 200 OK\r\n" + "".join(f"{k}: {v}\r\n" for k, v in reply.headers.items())
    return len(head) + len(call.body) + len(back) + len(reply.body) + 4


def test_an_exchange_without_news_is_one_round_trip_of_less_than_900_bytes() -> None:
    world = World()
    world.run()
    world.line.calls.clear()
    world.run()
    assert paths(world) == [EXCHANGE]
    assert wire_bytes(world.line.calls[-1], world.line.replies[-1]) < 900 - len("e" * 480), "room for a JWT as token"


def test_five_thousand_ops_take_three_round_trips() -> None:
    world = World()
    for n in range(5_000):
        world.box.write("sacrifice", UUID(int=n % 100), {"note": f"{n}"})
    world.run()
    assert len(exchanges(world)) == 3
    check_everything_arrived_once(world)


def test_a_box_a_day_behind_learns_the_time_and_goes_on() -> None:
    world = World()
    world.run()
    assert paths(world) == [TOKEN, TOKEN, EXCHANGE]
    world.box.clock.wall_ms += 5 * 86_400_000  # somebody sets the clock; the time since boot tells better
    world.hub.tokens.clear()
    world.run()
    assert paths(world)[3:] == [EXCHANGE, TOKEN, EXCHANGE]


def test_stamps_after_a_sync_come_after_what_the_hub_had() -> None:
    world = World()
    before = world.box.write("sacrifice", UUID(int=1), {"note": "a day behind"})
    world.run()
    after = world.box.write("sacrifice", UUID(int=1), {"note": "a moment later"})
    assert after.hlc - before.hlc > 86_000_000 << 16


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    world = World()
    world.run()
    world.line.calls.clear()
    for _ in range(3):
        for clock in (world.box.clock, world.hub.clock):
            clock.advance(250_000)
        world.run()
    assert paths(world) == [EXCHANGE, EXCHANGE, TOKEN, EXCHANGE]


def test_records_do_not_wait_behind_a_video() -> None:
    world = World()
    world.box.seal(b"v" * 4_000_000)
    written = []

    def work_goes_on(call: Call) -> None:
        if call.method == "PATCH" and call.headers["upload-offset"] != "0" and not written:
            written.append(world.box.write("sacrifice", UUID(int=1), {"note": "meanwhile"}))

    world.line.before_call = work_goes_on
    world.run()
    patches = [index for index, call in enumerate(world.line.calls) if call.method == "PATCH"]
    with_ops = [index for index, call in enumerate(world.line.calls)
                if call.path == EXCHANGE and from_wire(call.body, Exchange).batch]
    assert with_ops == [patches[1] + 1], "right after the piece that was on its way"
    check_everything_arrived_once(world)


def test_what_is_wanted_more_overtakes_at_the_next_piece() -> None:
    world = World()
    video, posters = world.box.seal(b"v" * 4_000_000), []

    def a_poster_is_made(call: Call) -> None:
        if call.method == "PATCH" and not posters:
            posters.append(world.box.seal(b"poster", kind="poster"))

    world.line.before_call = a_poster_is_made
    world.run()
    assert world.hub.arrived == [*posters, video]


def test_the_hubs_news_are_read_while_a_long_video_travels() -> None:
    world = World()
    world.line.ms_per_call = POLL_MS // 3
    world.box.seal(b"v" * 1_000_000)
    told = []

    def an_order_is_changed(call: Call) -> None:
        if call.method == "PATCH" and not told:
            told.append(world.hub.tell(1, {"tag": "changed"}))

    world.line.before_call = an_order_is_changed
    world.run()
    read_at = next(n for n, reply in enumerate(world.line.replies)
                   if paths(world)[n] == EXCHANGE and from_wire(reply.body, Exchanged).feed)
    assert "PATCH" in [call.method for call in world.line.calls[read_at:]]
    assert world.box.records_ == world.hub.told()


def test_a_cut_video_goes_on_where_the_hub_stands() -> None:
    cuts = ["none"] * 5 + ["cut midway", "none", "reply lost", "none", "request lost"]
    world = World(cuts)
    world.box.seal(bytes(range(256)) * 8_000)
    world.run_until_quiet()
    check_everything_arrived_once(world)
    pieces = [call for call in world.line.calls if call.method == "PATCH"]
    assert sum(len(call.body) for call in pieces) < 2_048_000 + 3 * (256 << 10)


@pytest.mark.parametrize(("bytes_per_s", "longest"), [(8_000, 64 << 10), (50_000, 256 << 10), (10_000_000, 8 << 20)])
def test_pieces_fit_the_line(bytes_per_s: int, longest: int) -> None:
    world = World()

    def takes_its_time(call: Call) -> None:
        world.line.ms_per_call = 20 + len(call.body) * 1000 // bytes_per_s

    world.line.before_call = takes_its_time
    world.box.seal(b"v" * 40_000_000 if bytes_per_s > 1_000_000 else b"v" * 2_000_000)
    world.run()
    pieces = [len(call.body) for call in world.line.calls if call.method == "PATCH"]
    assert longest // 2 <= max(pieces) <= longest
    assert pieces[-2] <= max(64 << 10, bytes_per_s * CALL_S)
    assert world.hub.arrived == world.box.sent_blobs


def test_a_blob_that_the_hub_refuses_does_not_hold_up_the_others() -> None:
    world = World()
    world.hub.max_blob = 1_000
    large, small = world.box.seal(b"v" * 2_000), world.box.seal(b"v" * 500)
    refused = world.run()
    assert {blob_id: error.code for blob_id, error in refused.items()} == {large: "too_large"}
    assert world.box.sent_blobs == world.hub.arrived == [small]


def test_a_damaged_blob_is_sent_once_a_run_and_reported() -> None:
    world = World()
    blob_id = world.box.seal(b"v" * 600_000)
    world.box.blobs[blob_id] = world.box.blobs[blob_id][0], b"x" * 600_000
    assert {error.code for error in world.run().values()} == {"checksum_mismatch"}
    assert world.box.sent_blobs == world.hub.arrived == []


def test_a_hub_put_back_to_an_hour_ago_gets_again_what_it_lost() -> None:
    world = World()
    for n in range(5):
        world.box.write("sacrifice", UUID(int=n), {"note": "x"})
    world.run()
    del world.hub.chain[2:], world.hub.ops[2:]
    world.run()
    check_everything_arrived_once(world)
    del world.hub.chain[2:], world.hub.ops[2:]
    world.box.write("sacrifice", UUID(int=1), {"note": "y"})
    world.run()
    check_everything_arrived_once(world)


def test_a_video_is_sent_again_to_a_hub_that_was_put_back_before_its_receipt_was_read() -> None:
    world = World()
    world.run()
    blob = world.box.seal(b"v" * 500)
    world.line.faults = ["none", "none", "none", "request lost"]
    with pytest.raises(Cut):
        world.run()
    assert world.box.sent_blobs == world.hub.arrived == [blob]
    world.hub.arrived.clear()
    world.hub.uploads.clear()
    del world.hub.rows[receipts.ENTITY, receipts.key(blob)], world.hub.marks[world.hub.cursor]
    world.hub.cursor -= 1
    for clock in (world.box.clock, world.hub.clock):
        clock.advance(CHECK_MS)
    world.run()
    assert world.box.sent_blobs == world.hub.arrived == [blob]


def test_a_box_whose_ops_the_hub_lost_asks_at_once_what_else_it_lost() -> None:
    world = World()
    world.box.write("sacrifice", UUID(int=1), {"note": "x"})
    blob = world.box.seal(b"v" * 500)
    world.run()
    world.hub.arrived.clear()
    world.hub.uploads.clear()
    world.hub.chain.clear()
    world.hub.ops.clear()
    del world.hub.rows[receipts.ENTITY, receipts.key(blob)]
    world.box.records_.pop((receipts.ENTITY, receipts.key(blob)))  # as if it had not been read: its place is the same
    world.run()
    assert world.hub.arrived == [blob]
    check_everything_arrived_once(world)


@pytest.mark.parametrize("goes_on", [0, 1, 40])
def test_a_box_put_back_to_an_old_state_goes_on_under_a_name_of_its_own(goes_on: int) -> None:
    world = World()
    for n in range(5):
        world.box.write("sacrifice", UUID(int=n), {"note": "x"})
    world.run()
    world.box.acked = 3
    del world.box.chain.ops[3:], world.box.chain.hashes[4:]
    for n in range(goes_on):
        world.box.write("sacrifice", UUID(int=9 + n), {"note": "another history"})
    before, kept = world.box.chain, list(world.hub.ops)
    world.run()
    assert world.box.node != NODE
    assert world.box.former == [before]
    assert world.hub.ops[:5] == kept, "nothing of the first history is overwritten"
    again = [(op.entity, op.key, op.patch, op.hlc) for op in before.ops[3:]]
    assert [(op.entity, op.key, op.patch, op.hlc) for op in world.box.chain.ops] == again
    assert world.hub.ops[5:] == world.box.chain.ops
    assert world.box.acked == goes_on
    assert world.box.records_ == world.hub.told()


def test_two_boxes_cloned_from_one_disk_both_go_on_and_lose_nothing() -> None:
    world = World()
    world.box.write("sacrifice", UUID(int=1), {"note": "before the copy"})
    first, clone = world.box, Box(ManualClock(), world.box.chain.clone())
    for n in range(100):
        first.write("sacrifice", UUID(int=2), {"note": f"ours {n}"})
        clone.write("sacrifice", UUID(int=3), {"note": f"the clone's {n}"})
    world.run()
    world.box, world.line.box = clone, clone
    world.boot()
    world.line.calls.clear()
    world.run()
    assert (first.node, clone.node) == (NODE, world.hub.heirs[clone.chain.key.public.raw])
    assert len(paths(world)) <= 10, "the last common op is found in a few messages"
    assert {op.node for op in world.hub.ops} == {first.node, clone.node}
    assert [op for op in world.hub.ops if op.node == NODE] == first.chain.ops
    assert [op for op in world.hub.ops if op.node == clone.node] == clone.chain.ops
    assert [op.patch for op in clone.chain.ops] == [op.patch for op in clone.former[0].ops[1:]]
    for box in (first, clone, first):
        world.box, world.line.box = box, box
        box.write("sacrifice", UUID(int=4), {"note": "later"})
        world.boot()
        world.run()
        assert box.acked == len(box.chain.ops)
    assert len({(op.node, op.seq) for op in world.hub.ops}) == len(world.hub.ops), "no seq is used twice"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(8))
def test_a_twin_takes_one_name_however_often_it_has_to_ask(at: int, fault: str) -> None:
    world = World()
    clone = Box(ManualClock(), world.box.chain.clone())
    world.box.write("sacrifice", UUID(int=2), {"note": "ours"})
    world.run()
    clone.write("sacrifice", UUID(int=3), {"note": "the clone's"})
    world.box, world.line.box = clone, clone
    world.boot()
    world.line.faults = ["none"] * at + [fault]
    world.run_until_quiet()
    assert len(world.hub.heirs) == 1
    assert [op.patch["note"] for op in world.hub.ops] == ["ours", "the clone's"]


@pytest.mark.parametrize(("spoil", "code"), [
    ({"acked": 0, "hash": b""}, "unavailable"),
    ({"hash": b"h" * 32}, "fork"),
    ({"acked": 2}, "fork"),
    ({"cursor": -1}, "bad_input"),
    ({"feed": [Change(5, "animal", UUID(int=1), {})], "cursor": 4}, "bad_input"),
    ({"more": True}, "bad_answer"),
    ({"version": 2}, "bad_version"),
])
def test_an_answer_that_cannot_be_is_not_taken_in(
        spoil: dict[str, object], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.box.write("sacrifice", UUID(int=1), {"note": "x"})
    honest = session._message

    def spoiled(reply: Reply, kind: type[msgspec.Struct]) -> msgspec.Struct:
        answer = honest(reply, kind)
        return msgspec.structs.replace(answer, **spoil) if kind is Exchanged else answer

    monkeypatch.setattr(session, "_message", spoiled)
    assert refusal(world).code == code
    assert (world.box.acked, world.box.cursor, world.box.records_) == (0, 0, {})


def test_a_revoked_box_stops_with_what_it_has() -> None:
    world = World()
    world.hub.nodes.clear()
    world.box.write("sacrifice", UUID(int=1), {"note": "x"})
    world.box.seal(b"v")
    assert refusal(world).code == "unknown_node"
    assert world.box.acked == 0


def test_enrolment_survives_a_lost_answer_and_nobody_else_gets_the_code() -> None:
    world = World(["reply lost"])
    seal = UnsealKey(b"s" * 32).public
    message = enrolment.enrol(enrolment.new_code(bytes(10)), KEY, seal, "box")
    with pytest.raises(Cut):
        drive(session.enrol(message), world.line.send)
    enrolled = drive(session.enrol(message), world.line.send)
    assert tokens.audience(VerifyKey(enrolled.hub_sign_key)) == world.hub.audience
    other = enrolment.enrol(enrolment.new_code(bytes(10)), SigningKey(b"x" * 32), seal, "box")
    with pytest.raises(QurbaniError) as refused:
        drive(session.enrol(other), world.line.send)
    assert refused.value.code == "bad_code"


def test_a_thousand_changes_of_state_cost_little() -> None:
    """As a site makes them over a day: each of another sacrifice, by one of four people."""
    world, chance = World(), random.Random(5)
    for _ in range(1000):
        world.box.clock.advance(chance.randrange(5_000, 60_000))
        id = UUID(int=world.box.clock.wall_ms << 80 | 7 << 76 | chance.getrandbits(62))
        stamp, actor = hlc.pack(world.box.clock.wall_ms), str(UUID(int=chance.randrange(4)))
        world.box.chain.write("sacrifice", id, {"state": "recorded"}, hlc=stamp, actor=actor)
    world.run_until_quiet()
    exchanges = [call for call in world.line.calls if call.path == EXCHANGE]
    assert len(exchanges) == 1
    assert len(exchanges[0].body) <= 25_000
