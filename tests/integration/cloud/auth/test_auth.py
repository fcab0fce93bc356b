"""Signing in and staying signed in, as programs and browsers do it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloud.auth import service
from cloud.auth.models import User
from demo.servers import Servers
from shared.clock import ManualClock
from shared.ids import new_id
from tests.cloud_hub import ADMIN, CloudHub, Person, copied_room, hub_settings, running

SIGN_IN, REFRESH = "/api/v1/auth/sign-in", "/api/v1/auth/refresh"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor("Amina Haddad")


def tokens(hub: CloudHub, who: Person) -> dict[str, str]:
    found: dict[str, str] = hub.stranger.post(SIGN_IN, {"email": who.email, "password": who.password})
    return found


def test_whoever_signs_in_is_known(hub: CloudHub, donor: Person) -> None:
    assert donor.get("/api/v1/auth/me") == {
        "id": donor.id, "role": "donor", "name": "Amina Haddad", "language": "fr",
    }
    assert tokens(hub, donor)["expires_in"] <= 600
    hub.sign_in(donor.email.upper(), donor.password)


def test_nobody_learns_whether_an_address_has_an_account(hub: CloudHub, donor: Person) -> None:
    wrong = [
        hub.stranger.post(SIGN_IN, {"email": email, "password": "not the right one"}, status=401)
        for email in (donor.email, "nobody@example.org", "")
    ]
    assert wrong[0] == wrong[1] == wrong[2]
    assert wrong[0]["code"] == "bad_credentials"


@pytest.mark.parametrize("header", ["Bearer", "Bearer x.y.z", "bearer null"])
def test_a_token_that_is_none_is_no_stranger_but_refused(hub: CloudHub, header: str) -> None:
    """So that a program with an old token is told so, also where strangers may come in."""
    with hub.client(authorization=header) as http:
        assert http.get("/api/v1/auth/me").status_code == 401
        assert http.get("/health/live").status_code == 401


def test_passwords_are_kept_as_argon2id_and_must_be_long(hub: CloudHub) -> None:
    hashes = hub.sql("SELECT password_hash FROM auth.users")
    assert all(found.startswith("$argon2id$v=19$m=65536,t=3,p=4$") for found in hashes)
    account = {"name": "B", "email": "b@example.org", "language": "en", "password": "fourteen chars"}
    refused = hub.stranger.post("/api/v1/donors", account, status=400)
    assert (refused["code"], refused["reason"]) == ("weak_password", "short")
    assert "fourteen" not in str(refused)


def test_nobody_gives_himself_a_role(hub: CloudHub) -> None:
    account = {"name": "B", "email": "b@example.org", "language": "en", "password": "correct horse battery"}
    hub.stranger.post("/api/v1/donors", {**account, "role": "admin"}, status=400)


def test_a_refresh_token_works_once_and_its_second_use_ends_the_session(hub: CloudHub, donor: Person) -> None:
    first = tokens(hub, donor)["refresh_token"]
    second = hub.stranger.post(REFRESH, {"refresh_token": first})["refresh_token"]
    third = hub.stranger.post(REFRESH, {"refresh_token": second})["refresh_token"]
    hub.stranger.post(REFRESH, {"refresh_token": first}, status=401)
    hub.stranger.post(REFRESH, {"refresh_token": third}, status=401)


def test_of_many_who_refresh_at_once_at_most_one_gets_on(hub: CloudHub, donor: Person) -> None:
    token = tokens(hub, donor)["refresh_token"]
    with ThreadPoolExecutor(8) as thieves:
        answers = list(thieves.map(
            lambda _: hub.stranger.http.post(REFRESH, json={"refresh_token": token}), range(8)))
    winners = [answer.json()["refresh_token"] for answer in answers if answer.status_code == 200]
    assert len(winners) <= 1
    for winner in winners:
        hub.stranger.post(REFRESH, {"refresh_token": winner}, status=401)


def test_signing_out_ends_the_session(hub: CloudHub, donor: Person) -> None:
    token = {"refresh_token": tokens(hub, donor)["refresh_token"]}
    for _ in range(2):
        hub.stranger.post("/api/v1/auth/sign-out", token, status=204)
    hub.stranger.post(REFRESH, token, status=401)


def test_an_access_token_dies_with_its_session(hub: CloudHub, donor: Person) -> None:
    here, there = tokens(hub, donor), tokens(hub, donor)
    hub.stranger.post("/api/v1/auth/sign-out", {"refresh_token": here["refresh_token"]}, status=204)
    assert [status_of(hub, found["access_token"]) for found in (here, there)] == [401, 200]
    hub.stranger.post(REFRESH, {"refresh_token": there["refresh_token"]})
    hub.stranger.post(REFRESH, {"refresh_token": there["refresh_token"]}, status=401)
    assert status_of(hub, there["access_token"]) == 401


def status_of(hub: CloudHub, access_token: str) -> int:
    return hub.stranger.http.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {access_token}"}).status_code


def test_one_sees_and_ends_ones_own_sessions_and_nobody_elses(hub: CloudHub) -> None:
    person, stranger = hub.donor(), hub.donor()
    phone = {"User-Agent": "Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"}
    account = {"email": person.email, "password": person.password}
    other = hub.stranger.http.post(SIGN_IN, json=account, headers=phone).json()["access_token"]
    newest, oldest = person.get("/api/v1/auth/sessions")
    assert [newest["agent"], newest["current"], oldest["current"]] == ["Firefox, Android", False, True]
    for id in (newest["id"], str(new_id())):
        stranger.ask("DELETE", f"/api/v1/auth/sessions/{id}", status=404)
    person.ask("DELETE", f"/api/v1/auth/sessions/{newest['id']}")
    assert status_of(hub, other) == 401
    browser = cookie(hub, person)
    person.ask("DELETE", "/api/v1/auth/sessions")
    person.get("/api/v1/auth/me", status=401)
    assert hub.stranger.http.get("/api/v1/auth/me", headers=browser).status_code == 401
    stranger.get("/api/v1/auth/me")


@pytest.mark.parametrize("token", ["", "x", "x.y", "00000000-0000-0000-0000-000000000000.x"])
def test_a_refresh_token_that_is_none_is_refused(hub: CloudHub, token: str) -> None:
    hub.stranger.post(REFRESH, {"refresh_token": token}, status=401)


# Browsers


def cookie(hub: CloudHub, who: Person) -> dict[str, str]:
    """What a browser sends once ``who`` has signed in on a page."""

    async def sign_in(session: Any) -> str:
        user = await service.check_password(session, hub.platform, who.email, who.password)
        return await service.open_page(session, user, hub.platform)

    return {"Cookie": f"{service.cookie_name(hub.platform)}={hub.run(sign_in)}"}


def test_a_cookie_signs_in_and_only_as_a_cookie(hub: CloudHub, donor: Person, browser: dict[str, str]) -> None:
    assert hub.stranger.http.get("/api/v1/auth/me", headers=browser).json()["id"] == donor.id
    secret = browser["Cookie"].partition("=")[2]
    hub.stranger.post(REFRESH, {"refresh_token": secret}, status=401)
    refresh_token = tokens(hub, donor)["refresh_token"]
    swapped = {"Cookie": f"{service.cookie_name(hub.platform)}={refresh_token}"}
    assert hub.stranger.http.get("/api/v1/auth/me", headers=swapped).status_code == 401


def test_a_cookie_that_is_none_is_a_stranger(hub: CloudHub) -> None:
    """So that a browser with an old cookie can still reach the sign-in page."""
    for value in ("", "x", "00000000-0000-0000-0000-000000000000.x"):
        headers = {"Cookie": f"{service.cookie_name(hub.platform)}={value}"}
        assert hub.stranger.http.get("/health/live", headers=headers).status_code == 200
        assert hub.stranger.http.get("/api/v1/auth/me", headers=headers).status_code == 401


@pytest.fixture(scope="module")
def browser(hub: CloudHub, donor: Person) -> dict[str, str]:
    return cookie(hub, donor)


ORDER = {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]}


@pytest.mark.parametrize(("headers", "status"), [
    ({"Sec-Fetch-Site": "same-origin"}, 201),
    ({"Origin": "{url}"}, 201),
    ({}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "none"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "{url}"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "{url}.evil.example"}, 403),
    ({"Origin": "null"}, 403),
])
def test_no_page_of_another_site_acts_for_its_visitor(
    hub: CloudHub, browser: dict[str, str], headers: dict[str, str], status: int
) -> None:
    token = hub.stranger.http.get("/", headers=browser).cookies["csrf"]
    brought = {"Cookie": f"{browser['Cookie']}; csrf={token}", "X-CSRF-Token": token}
    hub.stranger.http.cookies.clear()
    sent = {name: value.format(url=hub.url) for name, value in headers.items()} | brought
    assert hub.stranger.http.post("/api/v1/orders", json=ORDER, headers=sent).status_code == status


def test_no_page_of_another_site_signs_its_visitor_in(hub: CloudHub, donor: Person) -> None:
    headers = {"Origin": "https://evil.example"}
    account = {"email": donor.email, "password": donor.password}
    assert hub.stranger.http.post(SIGN_IN, json=account, headers=headers).status_code == 403


# Time


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def timed_hub(servers: Servers, template: str, tmp_path: Path, clock: ManualClock) -> Iterator[CloudHub]:
    """A hub whose clock is moved by hand."""
    with copied_room(servers, template) as room, running(hub_settings(room, tmp_path), clock=clock) as hub:
        yield hub


def test_everything_ends_in_its_time(timed_hub: CloudHub, clock: ManualClock) -> None:
    hub, admin = timed_hub, Person(timed_hub.stranger.http, email=ADMIN, password=timed_hub.password)
    donor = hub.donor()
    site = hub.site()
    code = hub.admin.post(f"/api/v1/sites/{site}/enrolment-codes")["code"]
    kept, idle, as_admin = tokens(hub, donor), tokens(hub, donor), tokens(hub, admin)
    browser = cookie(hub, donor)

    clock.advance(10 * MINUTE - 1000)
    donor.get("/api/v1/auth/me")
    clock.advance(1000)
    donor.get("/api/v1/auth/me", status=401)

    clock.advance(5 * MINUTE)
    assert hub.enrol(code).status == 403

    clock.advance(11 * HOUR)
    as_admin = hub.stranger.post(REFRESH, {"refresh_token": as_admin["refresh_token"]})
    clock.advance(HOUR)
    hub.stranger.post(REFRESH, {"refresh_token": as_admin["refresh_token"]}, status=401)

    clock.advance(6 * DAY)
    kept = hub.stranger.post(REFRESH, {"refresh_token": kept["refresh_token"]})
    assert hub.stranger.http.get("/api/v1/auth/me", headers=browser).status_code == 200
    clock.advance(DAY)
    hub.stranger.post(REFRESH, {"refresh_token": idle["refresh_token"]}, status=401)
    for _ in range(4):
        kept = hub.stranger.post(REFRESH, {"refresh_token": kept["refresh_token"]})
        assert hub.stranger.http.get("/api/v1/auth/me", headers=browser).status_code == 200
        clock.advance(6 * DAY)
    hub.stranger.post(REFRESH, {"refresh_token": kept["refresh_token"]}, status=401)
    assert hub.stranger.http.get("/api/v1/auth/me", headers=browser).status_code == 401


def test_whoever_is_shut_out_is_out_at_once(hub: CloudHub) -> None:
    person = hub.donor()
    browser, refresh = cookie(hub, person), tokens(hub, person)["refresh_token"]
    person.get("/api/v1/auth/me")

    async def disable(session: Any) -> None:
        user = await session.get_one(User, person.id)
        user.disabled = hub.platform.clock.now()

    hub.run(disable)
    person.get("/api/v1/auth/me", status=401)
    assert hub.stranger.http.get("/api/v1/auth/me", headers=browser).status_code == 401
    hub.stranger.post(REFRESH, {"refresh_token": refresh}, status=401)
    hub.stranger.post(SIGN_IN, {"email": person.email, "password": person.password}, status=401)
