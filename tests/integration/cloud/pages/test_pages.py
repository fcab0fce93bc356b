"""The donor's pages, over HTTP, as a browser without script sees them."""

from __future__ import annotations

import re

import httpx
import pytest

from demo.answers import wait_for
from demo.browser import Browser
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed


def browser(hub: CloudHub, language: str = "en") -> Browser:
    return hub.browser(**{"accept-language": language, "accept": "text/html,*/*;q=0.8"})


def sign_in(client: httpx.Client, email: str, password: str, to: str = "/orders") -> httpx.Response:
    form = {"email": email, "password": password, "to": to}
    return client.post("/sign-in", data=form)


@pytest.fixture(scope="module")
def film(busy_hub: CloudHub) -> Filmed:
    """A cow with two names of one donor, verified."""
    film = Filmed(busy_hub, "Ahmed Benali", "خديجة المنصوري", species="cow", language="en")
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    return film


@pytest.fixture(scope="module")
def donor(busy_hub: CloudHub, film: Filmed) -> httpx.Client:
    """The donor's browser, signed in."""
    client = browser(busy_hub, "fr")
    assert sign_in(client, film.donor.email, film.donor.password).url.path == "/orders"
    return client


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("fr", "ltr"), ("ar", "rtl")])
def test_the_front_page_speaks_the_browsers_language(busy_hub: CloudHub, language: str, direction: str) -> None:
    page = browser(busy_hub, f"{language}-XX, en;q=0.1").get("/")
    assert f'<html lang="{language}" dir="{direction}">' in page.text


def test_no_page_carries_script_or_style_of_its_own(busy_hub: CloudHub, donor: httpx.Client, film: Filmed) -> None:
    for path in ("/", "/orders", f"/orders/{film.order_id}", "/orders/nothing"):
        page = donor.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        ours = re.sub(r'<script type="module" src="/assets/[^"]+"></script>', "", page.text)
        assert not re.search(r"<script(?! type=\"module\" src=\"/)|<style|\sstyle=|\son\w+=|https?://", ours), path


def test_stylesheets_may_be_kept_for_good(busy_hub: CloudHub) -> None:
    client = browser(busy_hub)
    address = re.search(r'href="(/assets/\w+/look\.css)"', client.get("/").text)
    assert address
    sheet = client.get(address[1])
    assert (sheet.status_code, sheet.headers["content-type"].split(";")[0]) == (200, "text/css")
    assert "immutable" in sheet.headers["cache-control"]


def test_a_stranger_signs_in_and_comes_back_to_the_page_asked_for(busy_hub: CloudHub, film: Filmed) -> None:
    client = browser(busy_hub)
    asked = client.get(f"/orders/{film.order_id}")
    assert asked.url.path == "/sign-in"
    assert f'name="to" value="/orders/{film.order_id}"' in asked.text
    came = sign_in(client, film.donor.email, film.donor.password, f"/orders/{film.order_id}")
    assert came.url.path == f"/orders/{film.order_id}"


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "evil"])
def test_nobody_is_sent_elsewhere(busy_hub: CloudHub, film: Filmed, donor: httpx.Client, elsewhere: str) -> None:
    answer = donor.get("/language/fr", params={"to": elsewhere}, follow_redirects=False)
    assert answer.headers["location"] == "/home"
    donor.cookies.delete("language")
    assert 'name="to" value="/home"' in browser(busy_hub).get("/sign-in", params={"to": elsewhere}).text


def test_a_wrong_password_is_refused_in_words(busy_hub: CloudHub, film: Filmed) -> None:
    answer = sign_in(browser(busy_hub, "fr"), film.donor.email, "not the password")
    assert answer.status_code == 401
    assert "ne correspondent pas" in answer.text
    assert film.donor.email in answer.text
    assert "not the password" not in answer.text


def test_the_order_page_tells_the_whole_story(donor: httpx.Client, film: Filmed) -> None:
    page = donor.get(f"/orders/{film.order_id}").text
    assert "<bdi>Ahmed Benali</bdi> and <bdi>خديجة المنصوري</bdi>" in page
    assert "The name <bdi>خديجة المنصوري</bdi> was heard at <bdi>0:04</bdi>." in page
    assert page.count('data-step="done"') == 5
    assert page.count('data-step="current"') == 1
    assert "Done and verified" in page


def test_the_player_of_the_page_plays(donor: httpx.Client, film: Filmed) -> None:
    page = donor.get(f"/orders/{film.order_id}").text
    source, poster = re.search(r'<source src="([^"]+)"', page), re.search(r'poster="([^"]+)"', page)
    assert source
    assert poster
    assert donor.get(source[1], headers={"range": "bytes=0-99"}).status_code == 206
    assert donor.get(poster[1]).headers["content-type"] == "image/jpeg"


def test_the_language_stays_chosen(donor: httpx.Client, film: Filmed) -> None:
    page = donor.get("/language/ar", params={"to": f"/orders/{film.order_id}"})
    assert 'dir="rtl"' in page.text
    assert "سُمع الاسم <bdi>Ahmed Benali</bdi>" in page.text
    donor.cookies.delete("language")
    assert '<html lang="en"' in donor.get("/orders").text  # the account's, not the browser's


def test_before_it_is_verified_there_is_no_video(busy_hub: CloudHub, donor: httpx.Client) -> None:
    waiting = Filmed(busy_hub, "Leila Toumi")
    client = browser(busy_hub)
    sign_in(client, waiting.donor.email, waiting.donor.password)
    waiting.tell()
    page = client.get(f"/orders/{waiting.order_id}").text
    assert "<video" not in page
    assert page.count('data-step="done"') == 4


def test_another_donors_order_does_not_exist(busy_hub: CloudHub, film: Filmed) -> None:
    stranger, client = busy_hub.donor(language="en"), browser(busy_hub)
    assert "no order under your name" in sign_in(client, stranger.email, stranger.password).text
    answer = client.get(f"/orders/{film.order_id}")
    assert answer.status_code == 404
    assert "Ahmed" not in answer.text


def test_signing_out_ends_it(busy_hub: CloudHub, film: Filmed) -> None:
    client = browser(busy_hub)
    sign_in(client, film.donor.email, film.donor.password)
    cookie = client.cookies["session"]
    assert client.post("/sign-out").url.path == "/"
    assert "session" not in client.cookies
    client.cookies["session"] = cookie
    assert client.get("/orders").url.path == "/sign-in"


def test_programs_get_no_page(busy_hub: CloudHub) -> None:
    answer = busy_hub.admin.http.get("/nothing/here")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_form_of_another_site_is_refused(busy_hub: CloudHub, film: Filmed) -> None:
    form = {"email": film.donor.email, "password": film.donor.password}
    answer = browser(busy_hub).post("/sign-in", data=form, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert not {"session", "device"} & set(answer.cookies)
