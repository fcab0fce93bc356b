"""An animal that donors share: each sees the video from their own name on."""

from __future__ import annotations

import pytest

from demo.answers import wait_for
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
