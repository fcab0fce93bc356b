"""Whatever is done to a chain of entries shows, and shows where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.platform.audit_chain import GENESIS, Break, Checkpoint, Link, verify
from shared.crypto import SigningKey

KEY = SigningKey(b"k" * 32)
START = datetime(2026, 5, 27, tzinfo=UTC)
SIZE = 30

Chain = list[Link]


def chained(count: int, role: str = "admin", prev: bytes = GENESIS, first: int = 1) -> Chain:
    links: Chain = []
    for seq in range(first, first + count):
        bare = Link(
            seq, START + timedelta(seconds=seq), UUID(int=seq), role, "donors.pay", str(UUID(int=seq)), "done",
            msgspec.Raw(b'{"a":1}'), prev, b"",
        )  # fmt: skip
        links.append(msgspec.structs.replace(bare, hash=bare.expected()))
        prev = links[-1].hash
    return links


def signed(link: Link) -> Checkpoint:
    unsigned = Checkpoint(link.seq, link.hash, link.at)
    return msgspec.structs.replace(unsigned, sig=KEY.sign(unsigned.message()))


def broken(links: Sequence[Link], *checkpoints: Checkpoint) -> list[Break]:
    return list(verify(links, checkpoints, KEY.public))


def test_a_chain_that_nobody_touched_is_whole() -> None:
    links = chained(SIZE)
    assert broken(links, signed(links[9]), signed(links[-1])) == []
    assert broken([]) == []


@pytest.mark.parametrize("change", [
    {"at": START}, {"actor": None}, {"role": "donor"}, {"action": "donors.place"}, {"subject": ""},
    {"outcome": "seen"}, {"facts": msgspec.Raw(b'{"a":2}')}, {"hash": bytes(32)},
])  # fmt: skip
@given(place=st.integers(0, SIZE - 1))
def test_an_edited_entry_is_named(change: dict[str, object], place: int) -> None:
    links = chained(SIZE)
    links[place] = msgspec.structs.replace(links[place], **change)
    assert broken(links)[0] == Break(place + 1, "edited")


@given(place=st.integers(0, SIZE - 2))
def test_an_edited_entry_with_a_hash_made_anew_no_longer_leads_to_the_next(place: int) -> None:
    links = chained(SIZE)
    edited = msgspec.structs.replace(links[place], role="donor")
    links[place] = msgspec.structs.replace(edited, hash=edited.expected())
    assert broken(links) == [Break(place + 2, "unlinked")]


@given(places=st.sets(st.integers(0, SIZE - 2), min_size=1))
def test_deleted_entries_are_missing_numbers(places: set[int]) -> None:
    links = [link for place, link in enumerate(chained(SIZE)) if place not in places]
    assert broken(links) == [Break(place + 1, "missing") for place in sorted(places)]


@given(place=st.integers(0, SIZE - 1), other=st.integers(0, SIZE - 1))
def test_entries_that_changed_places_are_named(place: int, other: int) -> None:
    links = chained(SIZE)
    here, there = links[place], links[other]
    links[place] = msgspec.structs.replace(there, seq=here.seq)
    links[other] = msgspec.structs.replace(here, seq=there.seq)
    named = {one.seq for one in broken(links)}
    assert ({place + 1, other + 1} <= named) if place != other else not named


@given(place=st.integers(1, SIZE - 1))
def test_an_inserted_entry_moves_the_others_and_shows(place: int) -> None:
    links = chained(SIZE)
    moved = [msgspec.structs.replace(link, seq=link.seq + 1) for link in links[place:]]
    extra = chained(1, role="donor", prev=links[place - 1].hash, first=place + 1)
    assert broken([*links[:place], *extra, *moved])[0].seq == place + 2
    assert broken([*links[:place], links[place - 1], *links[place:]]) == [Break(place, "repeated")]


def test_only_a_checkpoint_shows_a_chain_that_was_written_anew_or_cut() -> None:
    links, anew = chained(SIZE), chained(SIZE, role="donor")
    kept = signed(links[19])
    assert broken(anew) == []
    assert broken(anew, kept) == [Break(20, "rewritten")]
    assert broken(links[:10]) == []
    assert broken(links[:10], kept) == [Break(11, "cut")]


@pytest.mark.parametrize("forge", [
    lambda kept: msgspec.structs.replace(kept, hash=bytes(32)),
    lambda kept: msgspec.structs.replace(kept, seq=kept.seq + 1),
    lambda kept: msgspec.structs.replace(kept, at=START),
    lambda kept: msgspec.structs.replace(kept, sig=SigningKey(b"x" * 32).sign(kept.message())),
])  # fmt: skip
def test_a_checkpoint_that_the_hub_did_not_sign_counts_for_nothing(forge: Callable[[Checkpoint], Checkpoint]) -> None:
    links = chained(SIZE)
    forged = forge(signed(links[9]))
    assert broken(links, forged) == [Break(forged.seq, "forged")]
