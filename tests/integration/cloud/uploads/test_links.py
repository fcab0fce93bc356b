"""Links that need no cookie: what they get, for how long, and that no other spelling of one gets anything."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from cloud.uploads import links
from demo.answers import wait_for
from shared.errors import QurbaniError
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed


@pytest.fixture(scope="module")
def film(busy_hub: CloudHub) -> Filmed:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    return film


@pytest.fixture(scope="module")
def link(film: Filmed) -> str:
    told = film.donor.get(film.url() + "/link")
    now = film.hub.platform.clock.now()
    assert timedelta(minutes=9) < datetime.fromisoformat(told["until"]) - now <= timedelta(minutes=10)
    return str(told["url"]).removeprefix(film.hub.platform.settings.base_url)


def ask(hub: CloudHub, target: str, method: str = "GET") -> int:
    """The status, of a target that is sent as it stands."""
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=10)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_link_plays_without_a_cookie_and_may_be_kept_a_minute(busy_hub: CloudHub, film: Filmed, link: str) -> None:
    stranger = busy_hub.stranger.http
    whole = stranger.get(link)
    assert whole.content == film.donor.http.get(film.url()).content
    public, age, revalidate = whole.headers["cache-control"].split(", ")
    assert (public, revalidate) == ("public", "must-revalidate")
    assert 50 < int(age.removeprefix("max-age=")) <= 60
    assert "set-cookie" not in whole.headers
    assert "vary" not in whole.headers, "one link has one answer, whoever sends it"
    part = stranger.get(link, headers={"range": "bytes=500-599"})
    assert (part.status_code, part.content) == (206, whole.content[500:600])
    again = stranger.get(link, headers={"if-none-match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"].startswith("public")


def test_the_first_byte_comes_soon(busy_hub: CloudHub, link: str) -> None:
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        with busy_hub.stranger.http.stream("GET", link, headers={"range": "bytes=9000-"}) as answer:
            next(answer.iter_raw(1))
            took.append(time.perf_counter() - begun)
    assert min(took) < 0.2, took


def mutations(link: str) -> Iterator[str]:
    path, _, query = link.partition("?")
    (_, session), (_, until), (_, mac) = (pair.split("=") for pair in query.split("&"))
    _, media, video, variant = path.split("/")

    def spelt(path: str = path, session: str = session, until: str = until, mac: str = mac) -> str:
        return f"{path}?session={session}&until={until}&mac={mac}"

    assert spelt() == link
    later = str(int(until) + 60)
    ends = (later, until + "0", f"+{until}", f"0{until}", f"%20{until}", "", "-1", "9e9")
    yield from (spelt(until=each) for each in ends)
    yield from (spelt(path=each) for each in (
        f"/{media}/{uuid4()}/{variant}", f"/{media}/{video}/original", f"/{media}/{video}/poster",
        f"/{media}/{video.upper()}/{variant}", f"/{media}/{video.replace('-', '')}/{variant}",
        f"/{media}/{video}/%63ompressed", f"/{media}/{video}/{variant}/", f"//{media}/{video}/{variant}",
        f"/{media}/../{media}/{video}/{variant}", f"/{media}/{video}/{variant};x", f"/%6dedia/{video}/{variant}",
    ))  # fmt: skip
    yield from (spelt(session=each) for each in (str(uuid4()), session.upper(), ""))
    flipped = ("B" if mac[0] == "A" else "A") + mac[1:]
    last = mac[:-1] + chr(ord(mac[-1]) + 1)  # the same bytes, where base64 has bits to spare
    escaped = f"%{ord(mac[0]):02x}{mac[1:]}"
    yield from (spelt(mac=each) for each in (flipped, last, mac + "=", mac[:-1], "", mac.lower(), mac + mac, escaped))
    yield f"{link}&until={later}"
    yield f"{path}?until={later}&{query}"
    yield f"{path}?session={session}&until={later}&until={until}&mac={mac}"
    yield f"{path}?until={until}&session={session}&mac={mac}"
    yield f"{path}?{query.replace('&', ';')}"
    yield f"{path}?{query.replace('session', 'Session')}"
    yield f"{link}&mac={mac}"
    yield f"{link}&x"
    yield path


def test_no_other_spelling_of_a_link_gets_anything(busy_hub: CloudHub, link: str) -> None:
    tried = list(mutations(link))
    assert len(set(tried)) >= 30
    assert link not in tried
    accepted = [target for target in tried if ask(busy_hub, target) not in (400, 403, 404)]
    assert accepted == []
    assert [ask(busy_hub, link, verb) for verb in ("HEAD", "POST", "PUT", "DELETE", "GET")] == [405, 405, 405, 405, 200]


def test_a_link_ends() -> None:
    key, session, made = b"k" * 32, uuid4(), datetime.fromisoformat("2026-06-01T12:00:00+00:00")
    target, until = links.sign(key, "/media/x/compressed", session, made)
    assert until - made == timedelta(minutes=10)
    assert links.check(key, target.encode(), until - timedelta(seconds=1)) == (session, until)
    for moment in (until, until + timedelta(days=1)):
        with pytest.raises(QurbaniError, match="dead_link"):
            links.check(key, target.encode(), moment)
    with pytest.raises(QurbaniError, match="dead_link"):
        links.check(b"x" * 32, target.encode(), made)
    assert links.caching(until, until - timedelta(seconds=7)) == "public, max-age=7, must-revalidate"


def test_a_link_dies_with_the_permission_and_with_the_session(busy_hub: CloudHub, film: Filmed) -> None:
    owner = busy_hub.trusting(film.donor.id)
    target = owner.get(film.url() + "/link")["url"].removeprefix(busy_hub.platform.settings.base_url)
    assert ask(busy_hub, target) == 200
    outcome = "UPDATE uploads.videos SET outcome = :outcome WHERE id = :id RETURNING 1"
    busy_hub.sql(outcome, outcome="rejected", id=film.video)
    assert ask(busy_hub, target) == 404
    assert owner.http.get(film.url() + "/link").status_code == 404
    busy_hub.sql(outcome, outcome="authentic", id=film.video)
    assert ask(busy_hub, target) == 200
    (here,) = [each["id"] for each in owner.get("/api/v1/auth/sessions") if each["current"]]
    owner.ask("DELETE", f"/api/v1/auth/sessions/{here}")
    assert ask(busy_hub, target) == 403


def test_nobody_gets_a_link_to_what_they_may_not_watch(busy_hub: CloudHub, film: Filmed) -> None:
    assert busy_hub.donor().http.get(film.url() + "/link").status_code == 404
    assert film.donor.http.get(film.url("original") + "/link").status_code == 404
    assert busy_hub.stranger.http.get(film.url() + "/link").status_code == 401
