"""Playback: by ranges, to those whose share is in it, and to nobody else."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from demo.answers import wait_for
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed


@pytest.fixture(scope="module")
def film(busy_hub: CloudHub) -> Filmed:
    """A verified sacrifice."""
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    return film


@pytest.fixture(scope="module")
def whole(film: Filmed) -> httpx.Response:
    return film.donor.http.get(film.url())


def part(film: Filmed, asked: str, **headers: str) -> httpx.Response:
    return film.donor.http.get(film.url(), headers={"range": asked, **headers})


def test_the_whole_file(whole: httpx.Response) -> None:
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["cache-control"] == "private, no-store"
    assert int(whole.headers["content-length"]) == len(whole.content) > 10_000


@pytest.mark.parametrize(("asked", "start", "stop"), [
    ("bytes=0-0", 0, 1), ("bytes=0-1023", 0, 1024), ("bytes=5000-5099", 5000, 5100), ("bytes=9000-", 9000, None),
    ("bytes=-100", -100, None), ("bytes=-99999999", 0, None),
])  # fmt: skip
def test_a_part(film: Filmed, whole: httpx.Response, asked: str, start: int, stop: int | None) -> None:
    answer = part(film, asked)
    assert answer.status_code == 206
    assert answer.content == whole.content[start:stop]
    first = len(whole.content) + start if start < 0 else start
    last = first + len(answer.content) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole.content)}"


def test_a_part_of_the_original_across_segments(busy_hub: CloudHub, film: Filmed) -> None:
    asked = {"range": "bytes=3000-70000"}
    assert busy_hub.admin.http.get(film.url("original"), headers=asked).content == film.content[3000:70001]


def test_outside_the_file(film: Filmed, whole: httpx.Response) -> None:
    answer = part(film, "bytes=99999999-")
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(whole.content)}"
    assert answer.json()["code"] == "bad_range"


def test_head_says_the_same_without_the_bytes(film: Filmed, whole: httpx.Response) -> None:
    for asked in ({}, {"range": "bytes=0-99"}):
        head, get = (film.donor.http.request(method, film.url(), headers=asked) for method in ("HEAD", "GET"))
        assert head.content == b""
        assert head.status_code == get.status_code
        for name in ("content-length", "content-type", "etag", "accept-ranges"):
            assert head.headers[name] == get.headers[name], name


def test_who_has_it_already_gets_no_bytes(film: Filmed, whole: httpx.Response) -> None:
    answer = film.donor.http.get(film.url(), headers={"if-none-match": whole.headers["etag"]})
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_part_of_another_version_is_not_mixed_in(film: Filmed, whole: httpx.Response) -> None:
    assert part(film, "bytes=0-9", **{"if-range": '"another"'}).content == whole.content
    assert part(film, "bytes=0-9", **{"if-range": whole.headers["etag"]}).content == whole.content[:10]


def test_nobody_else_can_tell_it_from_one_that_is_not_there(busy_hub: CloudHub, film: Filmed) -> None:
    stranger = busy_hub.donor()
    foreign, missing = stranger.http.get(film.url()), stranger.http.get(film.url(video=uuid4()))
    assert (foreign.status_code, foreign.json()) == (404, missing.json())
    assert stranger.http.get(film.url("poster")).status_code == 404
    assert busy_hub.client().get(film.url()).status_code == 401


def test_the_original_is_for_the_staff(busy_hub: CloudHub, film: Filmed) -> None:
    assert film.donor.http.get(film.url("original")).status_code == 404
    assert busy_hub.admin.http.get(film.url("original")).status_code == 200


def test_a_variant_that_there_is_not(busy_hub: CloudHub, film: Filmed) -> None:
    assert busy_hub.admin.http.get(film.url("raw")).status_code in (400, 404)


@pytest.mark.parametrize("outcome", ["review", "rejected"])
def test_what_is_not_authentic_is_for_the_staff(busy_hub: CloudHub, outcome: str) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.send()
    film.judge(outcome)  # type: ignore[arg-type]
    wait_for("the check to end", lambda: film.state() == "processed")
    assert film.donor.http.get(film.url()).status_code == 404
    assert busy_hub.admin.http.get(film.url()).status_code == 200
    assert film.order_state() == "sacrificed"
    assert film.hub.admin.get(f"/api/v1/notifications?order_id={film.order_id}") == []


def film_record(film: Filmed) -> dict[str, object]:
    """What the site's boxes are told of the video."""
    film.box.sync()
    return dict(film.box.told("film").get(film.video, {}))


def test_a_site_hears_that_its_video_was_verified_and_seen_but_not_by_whom(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.send()
    assert film_record(film) == {}, "nothing is said before it is so"
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    assert film_record(film) == {"outcome": "authentic"}
    busy_hub.admin.http.get(film.url())
    film.donor.http.get(film.url("poster"))
    film.donor.http.head(film.url())
    assert film_record(film) == {"outcome": "authentic"}, "a page that shows the poster is no watching"
    assert film.donor.http.get(film.url(), headers={"range": "bytes=0-"}).status_code == 206
    told = film_record(film)
    assert (told.keys(), told["outcome"]) == ({"outcome", "seen_ms"}, "authentic")
    film.donor.http.get(film.url())
    assert film_record(film) == told, "the first time counts"


def test_what_is_not_authentic_is_told_as_that(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.send()
    film.judge("review")
    wait_for("the check to end", lambda: film.state() == "processed")
    assert film_record(film) == {"outcome": "review"}
