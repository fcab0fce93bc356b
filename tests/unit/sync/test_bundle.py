"""Bundles on sticks that are pulled out, altered, late, mixed up: all arrives once, or is refused with a reason."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.crypto import SigningKey
from shared.errors import QurbaniError
from sync import bundle
from sync.bundle import Answer, Refused
from tests.unit.sync.chains import KEY, NODE
from tests.unit.sync.sticks import PART, Courier
from tests.unit.sync.test_session import check_everything_arrived_once
from tests.unit.sync.world import Cut, World


@pytest.fixture
def world() -> World:
    """A box with three ops and two blobs, a hub with two animals."""
    world = World()
    for n in range(3):
        world.box.write("sacrifice", UUID(int=n + 1), {"note": f"note {n}"})
    world.box.seal(b"poster" * 10, "poster")
    world.box.seal(b"original" * 500)
    for n in range(2):
        world.hub.tell(n + 1, {"tag": f"{n}"})
    return world


@pytest.fixture
def courier() -> Courier:
    return Courier()


def carry(world: World, courier: Courier) -> Answer:
    courier.export(world.box)
    courier.receive(world.hub)
    return courier.take_back(world.box)


def test_everything_goes_there_and_back(world: World, courier: Courier) -> None:
    exported = courier.export(world.box)
    assert (exported.ops, exported.last, len(exported.blobs), exported.left_out) == (3, 3, 2, [])
    received = courier.receive(world.hub)
    assert received.answer.refused == []
    courier.take_back(world.box)
    check_everything_arrived_once(world)
    assert world.box.records_ == world.hub.told()
    assert not world.line.calls, "nothing went over the line"


def test_nothing_of_the_content_lies_open_on_the_stick(world: World, courier: Courier) -> None:
    world.box.write("sacrifice", UUID(int=9), {"note": "canary"})
    world.hub.tell(9, {"tag": "canary"})
    courier.export(world.box)
    courier.receive(world.hub)
    for name, data in {**courier.to_hub.files, **courier.to_box.files}.items():
        assert b"canary" not in data, name


def test_names_and_sizes_suit_fat(world: World, courier: Courier) -> None:
    carry(world, courier)
    for stick in (courier.to_hub, courier.to_box):
        for name in stick.written:
            assert re.fullmatch(r"[0-9a-z-]{1,80}(\.[0-9]{4})?", name)
        assert len({name.lower() for name in stick.files}) == len(stick.files)
    assert max(len(data) for name, data in courier.to_hub.files.items() if "." in name) == PART
    assert bundle.PART_BYTES < 4 << 30


def test_a_second_export_writes_no_blob_again_and_takes_away_what_has_arrived(world: World, courier: Courier) -> None:
    courier.export(world.box)
    courier.to_hub.written.clear()
    courier.export(world.box)
    assert not [name for name in courier.to_hub.written if "." in name]
    courier.receive(world.hub)
    courier.take_back(world.box)
    courier.export(world.box)
    assert sorted(name.partition("-")[0] for name in courier.to_hub.files) == ["letter", "manifest"]


def test_importing_twice_reads_no_blob_again(world: World, courier: Courier) -> None:
    courier.export(world.box)
    courier.receive(world.hub)
    before, courier.to_hub.bytes_read = courier.to_hub.bytes_read, 0
    courier.receive(world.hub)
    assert before > 4000 > courier.to_hub.bytes_read
    courier.take_back(world.box)
    courier.take_back(world.box)
    check_everything_arrived_once(world)


def outcome(act: Callable[..., object], *arguments: object) -> str:
    """The code of the error that it ends with, if it does."""
    try:
        act(*arguments)
    except QurbaniError as error:
        return error.code
    return ""


def test_a_box_that_was_put_back_leaves_its_later_bundle_alone(world: World, courier: Courier) -> None:
    """What only the stick holds must not go for what the box remembers."""
    courier.export(world.box)
    old = copy.deepcopy(world.box)
    world.box.write("sacrifice", UUID(int=8), {"note": "since"})
    world.box.seal(b"since" * 500)
    courier.export(world.box)
    files = dict(courier.to_hub.files)
    assert outcome(courier.export, old) == "later_bundle"
    old.write("sacrifice", UUID(int=8), {"note": "other"})  # as many ops, of which the last is another one
    assert outcome(courier.export, old) == "later_bundle"
    assert courier.to_hub.files == files
    assert courier.receive(world.hub).answer.refused == []
    assert outcome(courier.take_back, old) == "fork"
    courier.take_back(world.box)
    assert outcome(courier.export, world.box) == ""
    check_everything_arrived_once(world)


# The stick is pulled out


@pytest.mark.parametrize("had_one", [False, True], ids=["new", "used"])
def test_pulled_out_at_any_moment_of_an_export(had_one: bool) -> None:
    for moves in itertools.count():
        world, courier = make_world(), Courier()
        if had_one:
            carry(world, courier)
            world.box.write("sacrifice", UUID(int=1), {"note": "later"})
            world.box.seal(b"another" * 400)
        courier.to_hub.moves = moves
        if not (ended := outcome(courier.export, world.box)):
            break
        assert ended == "stick_gone"
        courier.to_hub.moves = None
        # As it is, there is the bundle before or none; the hub may meet it.
        assert outcome(courier.receive, world.hub) in {"", "no_bundle"}
        courier.export(world.box)
        assert courier.receive(world.hub).answer.refused == []
        courier.take_back(world.box)
        check_everything_arrived_once(world)
    assert moves >= 5


def test_pulled_out_at_any_moment_of_an_import() -> None:
    for moves in itertools.count():
        world, courier = make_world(), Courier()
        courier.export(world.box)
        stick = courier.to_hub if moves % 2 else courier.to_box
        stick.moves = moves // 2
        ended = outcome(courier.receive, world.hub)
        assert ended in {"", "stick_gone"}
        if not ended and moves > 20:
            break
        stick.moves = None
        courier.receive(world.hub)
        courier.take_back(world.box)
        check_everything_arrived_once(world)


def test_a_hub_that_dies_in_the_middle_is_asked_again(world: World, courier: Courier) -> None:
    courier.export(world.box)
    world.hub.dies = True
    with pytest.raises(Cut):
        courier.receive(world.hub)
    courier.receive(world.hub)
    courier.take_back(world.box)
    check_everything_arrived_once(world)


def make_world() -> World:
    world = World()
    for n in range(2):
        world.box.write("sacrifice", UUID(int=n + 1), {"note": f"note {n}"})
    world.box.seal(b"original" * 300)
    world.hub.tell(1, {"tag": "1"})
    return world


# What is not as it should be


def test_no_bit_can_be_changed_unnoticed() -> None:
    world, courier = make_world(), Courier()
    courier.export(world.box)
    whole = dict(courier.to_hub.files)
    for name, data in whole.items():
        for at in {0, 1, len(data) // 3, len(data) // 2, len(data) - 1}:
            spoilt = bytearray(data)
            spoilt[at] ^= 1 << at % 8
            fresh, courier.to_hub.files = make_world(), {**whole, name: bytes(spoilt)}
            if "." in name:
                assert [each.code for each in courier.receive(fresh.hub).answer.refused] == ["damaged"]
                assert fresh.hub.ops == fresh.box.chain.ops
            else:
                assert outcome(courier.receive, fresh.hub) in {"damaged", "bad_signature"}
                assert fresh.hub.ops == []
            assert fresh.hub.arrived == []


@pytest.mark.parametrize("change", ["cut", "gone", "swapped"])
def test_a_blob_whose_part_is_not_there_holds_up_nothing_and_is_written_again(
    world: World, courier: Courier, change: str
) -> None:
    courier.export(world.box)
    files = courier.to_hub.files
    first, second, *_ = (name for name in sorted(files) if "." in name and len(files[name]) == PART)
    match change:
        case "cut":
            files[first] = files[first][:-1]
        case "gone":
            del files[first]
        case "swapped":
            files[first], files[second] = b"x" * PART, files[first]
    [refused] = courier.receive(world.hub).answer.refused
    assert (refused.what, refused.code) == (first.partition(".")[0], "damaged")
    assert (len(world.hub.ops), len(world.hub.arrived)) == (3, 1)
    answered = courier.take_back(world.box)
    courier.export(world.box, answered=answered)
    assert courier.receive(world.hub).answer.refused == []
    courier.take_back(world.box)
    check_everything_arrived_once(world)


def test_an_answer_that_is_not_the_hubs_changes_nothing(world: World, courier: Courier) -> None:
    courier.export(world.box)
    received = courier.receive(world.hub)
    courier.to_box.files.clear()
    courier.answer(received, SigningKey(b"x" * 32))
    with pytest.raises(QurbaniError, match="bad_signature"):
        courier.take_back(world.box)
    assert (world.box.acked, world.box.sent_blobs) == (0, [])


def test_a_bundle_for_another_hub_or_of_another_box_is_refused(world: World, courier: Courier) -> None:
    courier.export(world.box)
    [name] = [name for name in courier.to_hub.names() if name.startswith("manifest-")]
    body, _ = msgspec.msgpack.decode(courier.to_hub.files[name], type=tuple[bytes, bytes])
    manifest = msgspec.msgpack.decode(body, type=bundle.Manifest)
    for change in ({"to": "0" * 16}, {"node": UUID(int=5)}, {"number": 7}):
        forged = bundle.encode(msgspec.structs.replace(manifest, **change))
        courier.to_hub.files[name] = bundle.encode((forged, KEY.sign(b"qurbani/bundle/1\0" + forged)))
        with pytest.raises(QurbaniError, match="foreign_bundle"):
            courier.receive(world.hub)
    assert world.hub.ops == []


def test_a_blob_cannot_be_named_like_a_path() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(["../../etc/passwd", 5, "original", NODE], bundle.Carried)


def test_a_stick_without_a_bundle_says_so(world: World) -> None:
    courier = Courier()
    for act in (lambda: courier.receive(world.hub), lambda: courier.take_back(world.box)):
        with pytest.raises(QurbaniError, match="no_bundle"):
            act()


def test_a_stale_bundle_changes_nothing(world: World, courier: Courier) -> None:
    courier.export(world.box)
    world.run_until_quiet()
    world.box.write("sacrifice", UUID(int=1), {"note": "since then"})
    world.run_until_quiet()
    received = courier.receive(world.hub)
    assert (received.answer.acked, received.answer.refused) == (4, [])
    courier.take_back(world.box)
    check_everything_arrived_once(world)


@pytest.mark.parametrize("mark", [b"other", None])
def test_an_answer_from_another_place_of_the_same_cursor_is_not_taken(
        world: World, courier: Courier, mark: bytes | None) -> None:
    """A hub that was put back allots a cursor again. An older hub does not say what it calls the place."""
    courier.export(world.box)
    world.hub.tell(1, {"tag": "A-1"})
    received = courier.receive(world.hub)
    courier.answer(msgspec.structs.replace(received, answer=msgspec.structs.replace(received.answer, mark=mark)))
    courier.take_back(world.box)
    assert (("animal", UUID(int=1)) in world.box.records()) == (mark is None)


def test_a_fork_is_refused_and_told(world: World, courier: Courier) -> None:
    courier.export(world.box)
    clone = World()
    clone.hub = clone.line.hub = world.hub
    clone.box.write("sacrifice", UUID(int=1), {"note": "by the other one"})
    clone.run_until_quiet()
    [refused] = courier.receive(world.hub).answer.refused
    assert (refused.what, refused.code) == ("records", "fork")


def test_a_hub_that_lost_ops_gets_them_with_the_next_bundle(world: World, courier: Courier) -> None:
    carry(world, courier)
    world.box.write("sacrifice", UUID(int=1), {"note": "the fourth"})
    courier.export(world.box)
    restored = World().hub
    refused = courier.receive(restored).answer.refused
    assert refused == [Refused("records", "gap", "ops 1 to 3 are missing")]
    answered = courier.take_back(world.box)
    courier.export(world.box, answered=answered)
    assert courier.receive(restored).answer.refused == []
    assert restored.ops == world.box.chain.ops


def test_an_answer_with_ops_that_the_box_has_not_written_is_a_fork(world: World, courier: Courier) -> None:
    courier.export(world.box)
    courier.receive(world.hub)
    with pytest.raises(QurbaniError, match="fork"):
        courier.take_back(World().box)


# A small stick


def test_a_small_stick_takes_what_fits_the_most_wanted_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "SPARE_BYTES", 4000)
    courier = Courier(capacity=7000)
    exported = courier.export(world.box)
    assert [blob.kind for blob in exported.blobs] == ["poster"]
    assert [blob.kind for blob in exported.left_out] == ["original"]
    courier.receive(world.hub)
    courier.take_back(world.box)
    assert world.box.acked == 3
    assert len(world.box.sent_blobs) == 1


def test_a_blob_that_the_box_has_lost_holds_up_nothing(world: World, courier: Courier) -> None:
    read, lost = world.box.read, world.box.seal(b"lost" * 100)

    def read_or_fail(blob_id: str, offset: int, size: int) -> bytes:
        if blob_id == lost:
            raise QurbaniError("damaged")
        return read(blob_id, offset, size)

    world.box.read = read_or_fail  # type: ignore[method-assign]
    exported = courier.export(world.box)
    assert [blob.blob_id for blob in exported.left_out] == [lost]
    assert courier.receive(world.hub).answer.refused == []


# All roads at once

ROADS = st.lists(st.one_of(
    st.tuples(st.sampled_from(["export", "receive", "take back"]), st.integers(0, 1)),
    st.tuples(st.sampled_from(["note", "tell", "seal", "sync"]), st.integers(1, 3)),
), max_size=25)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(ROADS)
@example([("seal", 1), ("export", 0), ("receive", 0), ("take back", 0)])
def test_whatever_takes_whichever_road_arrives_once(steps: list[tuple[str, int]]) -> None:
    world, couriers = World(), [Courier(), Courier()]
    world.box.write("sacrifice", UUID(int=1), {"note": "the first"})
    for step, n in steps:
        match step:
            case "export":
                couriers[n].export(world.box)
            case "receive":
                assert outcome(couriers[n].receive, world.hub) in {"", "no_bundle"}
            case "take back":
                assert outcome(couriers[n].take_back, world.box) in {"", "no_bundle"}
            case "note":
                world.box.write("sacrifice", UUID(int=n), {"note": f"after {len(world.box.chain.ops)}"})
            case "tell":
                world.hub.tell(n, {"tag": f"at {world.hub.cursor}"})
            case "seal":
                world.box.seal(bytes([n]) * 1500 + len(world.box.blobs).to_bytes(4))
            case "sync":
                world.run()
    arrived = set(world.hub.arrived)
    calls = len(world.line.calls)
    world.run_until_quiet()
    # Without a receipt the box asks once more, and the hub takes no byte of what it has.
    uploaded = sum(len(call.body) for call in world.line.calls[calls:] if call.method == "PATCH")
    left = sum(len(sealed) for blob_id, (_, sealed) in world.box.blobs.items() if blob_id not in arrived)
    assert uploaded == left, "what a stick carried is not sent again"
    check_everything_arrived_once(world)
