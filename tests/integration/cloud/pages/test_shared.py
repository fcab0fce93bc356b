"""An animal that donors share: each sees the video from their own name on."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from demo.answers import wait_for
from shared.evidence.manifest import Derived, read
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed, another, clip

OTHERS = "Omar Bello"


@pytest.fixture(scope="module")
def film(busy_hub: CloudHub) -> Filmed:
    """A cow for two donors; the other one's name is said first, at 1.5 s, the donor's at 4.5 s."""
    film = Filmed(busy_hub, "Leila Toumi", species="cow", language="en", content=another(clip(seconds=8)))
    busy_hub.allocated_order(busy_hub.donor(), film.site, "cow", OTHERS)
    film.tell()
    film.send()
    film.judge(heard=(OTHERS, "Leila Toumi"))
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    return film


def test_the_video_opens_at_the_donors_own_name(film: Filmed) -> None:
    page = film.donor.http.get(f"/orders/{film.order_id}").text
    assert f'{film.url()}#t=2.5"' in page
    assert OTHERS not in page


def test_there_is_a_copy_to_send_on(film: Filmed) -> None:
    page = film.donor.http.get(f"/orders/{film.order_id}").text
    assert f'href="{film.url("messenger")}" download="' in page
    copy = film.donor.http.get(film.url("messenger"))
    assert copy.content[4:8] == b"ftyp"
    assert len(copy.content) <= 16_000_000


def loudness(content: bytes, *, begin: float, end: float) -> float:
    """Of the sound between two moments, from 0 to 1."""
    with av.open(io.BytesIO(content)) as video:
        frames = [frame for frame in video.decode(audio=0) if begin <= (frame.time or 0) < end]
    return float(np.sqrt(np.mean(np.concatenate([frame.to_ndarray().ravel() for frame in frames]) ** 2)))


def test_a_copy_in_which_no_other_names_are_heard(busy_hub: CloudHub, film: Filmed) -> None:
    page, whole = f"/orders/{film.order_id}", film.donor.http.get(film.url()).content
    assert f'action="{page}/videos/{film.video}/own"' in film.donor.http.get(page).text
    assert film.donor.http.get(film.url("own")).status_code == 404
    assert busy_hub.donor().http.post(f"{page}/videos/{film.video}/own").status_code == 404
    for _ in range(2):
        assert film.donor.http.post(f"{page}/videos/{film.video}/own").status_code == 303
    wait_for("the copy to be made", lambda: film.donor.http.get(film.url("own")).status_code == 200)
    assert f'href="{film.url("own")}" download="' in film.donor.http.get(page).text
    own = film.donor.http.get(film.url("own")).content
    assert loudness(own, begin=1.3, end=2.7) < 1e-4 < loudness(whole, begin=1.3, end=2.7), "the other's name"
    for begin, end in ((0.1, 1.0), (4.4, 5.6), (6.0, 7.5)):
        assert loudness(own, begin=begin, end=end) == pytest.approx(loudness(whole, begin=begin, end=end), rel=0.3)
    origin = read(film.donor.http.get(film.url("own") + "/manifest").content).manifest.origin
    assert isinstance(origin, Derived)
    assert (origin.tool, origin.parent) == ("own", film.manifest().sha256)
    assert busy_hub.admin.http.get(film.url("own")).status_code == 404, "it is the donor's"
