"""A picture and some seconds of a video arrive before the video: shown, to those who may see them, as provisional."""

from __future__ import annotations

from demo.answers import wait_for
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed, clip
from tests.integration.cloud.pages.test_pages import browser, sign_in

STILL = b"\xff\xd8 a picture"


def page(film: Filmed) -> str:
    client = browser(film.hub)
    return sign_in(client, film.donor.email, film.donor.password, f"/orders/{film.order_id}").text


def test_a_donor_sees_what_went_ahead_until_the_video_is_there(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", language="en")
    film.tell()
    film.judge()
    assert "data-provisional" not in page(film)
    film.go_ahead("poster", STILL)
    shown = page(film)
    assert "Provisional: the check at the site was good" in shown
    assert f'src="{film.url("still")}"' in shown
    answer = film.donor.http.get(film.url("still"))
    assert (answer.content, answer.headers["content-type"]) == (STILL, "image/jpeg")
    film.go_ahead("preview", clip())
    assert f'<source src="{film.url("preview")}"' in page(film)
    assert film.order_state() == "sacrificed", "it proves nothing to the hub"
    film.send()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    assert "data-provisional" not in page(film)
    assert f'src="{film.url("compressed")}"' in page(film)


def test_what_the_site_did_not_find_authentic_is_for_the_staff(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", language="en")
    film.tell()
    film.judge("review")
    film.go_ahead("poster", STILL)
    assert "data-provisional" not in page(film)
    assert film.donor.http.get(film.url("still")).status_code == 404
    assert busy_hub.donor().http.get(film.url("still")).status_code == 404
    assert busy_hub.admin.http.get(film.url("still")).content == STILL


def test_what_is_only_announced_is_not_there(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", language="en")
    film.tell()
    film.judge()
    film.box.seal = lambda content, kind="original": ""  # type: ignore[method-assign]
    film.go_ahead("poster", STILL)
    assert film.box.parked == {}
    assert "data-provisional" not in page(film)
    assert busy_hub.admin.http.get(film.url("still")).status_code == 404


def test_a_copy_of_a_video_that_nobody_told_of_is_parked(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", language="en")
    film.go_ahead("poster", STILL)
    assert [parked.code for parked in film.box.parked.values()] == ["bad_op"]
