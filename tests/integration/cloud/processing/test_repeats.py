"""An act that was shown before is not sold again: not by another box, not in another cut."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from demo.answers import wait_for
from shared.evidence.trials.copies import act, copied, encoded
from shared.ids import new_id
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed, clip, seal

SECONDS = 12


@cache
def played(place: int, number: int) -> bytes:
    return encoded(act(place, number, SECONDS))


def checked(film: Filmed) -> Any:
    """What the staff is told of the check, once it has ended."""
    film.tell()
    film.judge()
    film.send()
    return again(film)


def again(film: Filmed) -> Any:
    path = f"/api/v1/videos/{film.video}/check"
    query = "SELECT 1 FROM processing.checks WHERE video_id = :id AND ended IS NOT NULL"
    wait_for("the check to end", lambda: film.hub.sql(query, id=film.video), 30)
    return film.hub.admin.get(path)


def test_a_changed_copy_from_another_site_is_held_and_names_the_earlier_video(busy_hub: CloudHub) -> None:
    sold = Filmed(busy_hub, "Ahmed Benali", content=played(31, 0))
    assert checked(sold)["outcome"] == "authentic"
    changes = ("mirrored", "colour-shifted", "speed +-5 %")
    copy = Filmed(busy_hub, "Leila Toumi", content=copied(sold.content, changes, 4))
    found = checked(copy)
    assert (found["outcome"], found["reasons"]) == ("review", ["act_seen_before"])
    (earlier,) = found["earlier"]
    assert (earlier["video_id"], earlier["mirrored"]) == (str(sold.video), True)
    wait_for("the outcome to be known", lambda: copy.state() == "processed")
    assert copy.order_state() == "sacrificed"
    told = busy_hub.sql(
        "SELECT convert_from(body, 'UTF8')::json->'data'->'earlier'->>0 FROM platform.outbox "
        "WHERE topic = 'video.processed-final' AND convert_from(body, 'UTF8')::json->'data'->>'video_id' = :id",
        id=str(copy.video),
    )
    assert told == [str(sold.video)]
    assert again(sold)["earlier"] == []


def test_another_act_at_the_same_place_passes(busy_hub: CloudHub) -> None:
    for number in (0, 1):
        film = Filmed(busy_hub, "Ahmed Benali", content=played(32, number))
        assert checked(film)["outcome"] == "authentic"
        wait_for("the order to be verified", lambda film=film: film.order_state() == "verified")


def test_the_same_file_is_held_however_short_it_is(busy_hub: CloudHub) -> None:
    content = clip(seed=33)
    sold, copy = (Filmed(busy_hub, "Ahmed Benali", content=content) for _ in range(2))
    assert checked(sold)["outcome"] == "authentic"
    found = checked(copy)
    assert (found["outcome"], [each["video_id"] for each in found["earlier"]]) == ("review", [str(sold.video)])


def test_one_sacrifice_may_be_filmed_twice(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", content=played(34, 0))
    assert checked(film)["outcome"] == "authentic"
    film.video, film.verdict = new_id(), new_id()
    film.sealed = seal(film.content, busy_hub.platform.keys.unseal.public)
    assert checked(film)["earlier"] == []


@pytest.mark.parametrize("outcome", ["rejected", "review"])
def test_a_doubt_adds_no_trust(busy_hub: CloudHub, outcome: Any) -> None:
    content = clip(seed=35)
    checked(Filmed(busy_hub, "Ahmed Benali", content=content))
    copy = Filmed(busy_hub, "Ahmed Benali", content=content)
    copy.tell()
    copy.judge(outcome)
    copy.send()
    assert (again(copy)["outcome"], again(copy)["reasons"]) == (outcome, ["no_knife", "act_seen_before"])


def test_what_was_found_wanting_stands_in_nobody_s_way(busy_hub: CloudHub) -> None:
    """Recorded under the wrong animal, refused as the name was another's, and then sent for the right one."""
    content = clip(seed=36)
    wrong, right = (Filmed(busy_hub, "Ahmed Benali", content=content) for _ in range(2))
    wrong.tell()
    wrong.judge("rejected")
    wrong.send()
    assert again(wrong)["outcome"] == "rejected"
    assert (checked(right)["outcome"], again(right)["earlier"]) == ("authentic", [])
