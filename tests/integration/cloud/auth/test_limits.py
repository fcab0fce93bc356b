"""Rate limits over HTTP: shared by all processes, not to be talked out of, and no weapon against an account's owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from cloud.platform.limits import LIMITS, Limit
from demo.browser import Browser
from demo.servers import Servers
from tests.cloud_hub import ADMIN, CloudHub, Person, copied_room, hub_settings, running

SIGN_IN = "/api/v1/auth/sign-in"
WRONG = {"email": "nobody@example.org", "password": "not the right one"}

Start = Callable[..., CloudHub]


@pytest.fixture
def start(servers: Servers, template: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a hub with the limits of production; a second one is another process of the same hub."""
    with ExitStack() as stack:
        room = stack.enter_context(copied_room(servers, template))

        def started(admin: str = ADMIN, **more: str) -> CloudHub:
            chosen = hub_settings(room, tmp_path, QURBANI_RATE_FACTOR="1", **more)
            return stack.enter_context(running(chosen, admin=admin))

        yield started


def statuses(hub: CloudHub, count: int, **headers: str) -> list[int]:
    return [hub.stranger.http.post(SIGN_IN, json=WRONG, headers=headers).status_code for _ in range(count)]


def from_everywhere(hub: CloudHub, email: str, count: int) -> list[httpx.Response]:
    """Guesses at one account, each from another address."""
    guess = {"email": email, "password": "not the right one"}
    return [
        hub.stranger.http.post(SIGN_IN, json=guess, headers={"X-Forwarded-For": f"203.0.113.{n}"})
        for n in range(count)
    ]


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shape of production's limits at a size that does not cost a hash each time."""
    monkeypatch.setitem(LIMITS, "sign-in", type(LIMITS["sign-in"])(5, 600, closed=True))
    monkeypatch.setitem(LIMITS, "guess", type(LIMITS["guess"])(3, 600, closed=True))


@pytest.mark.usefixtures("_few")
def test_who_asks_too_often_is_told_how_long_to_wait_and_no_header_helps(start: Start) -> None:
    hub = start()
    assert statuses(hub, 3) == [401, 401, 401]
    assert statuses(hub, 2, **{"X-Forwarded-For": "203.0.113.9"}) == [429, 429]  # the account's limit
    answer = hub.stranger.http.post(SIGN_IN, json={**WRONG, "email": "x@example.org"}, headers={"Forwarded": "for=1"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")  # the address's
    assert 1 <= int(answer.headers["Retry-After"]) <= 120
    assert hub.stranger.http.get("/health/live").is_success


@pytest.mark.usefixtures("_few")
def test_guesses_from_everywhere_do_not_lock_the_owner_out(start: Start) -> None:
    hub = start(QURBANI_TRUSTED_PROXIES="127.0.0.1")
    form = {"email": ADMIN, "password": hub.password}
    owner = hub.browser()
    assert sign_in(owner, form) == 303
    device = dict(owner.cookies)["device"]
    # One guess was the owner's own, before the device was known.
    assert [answer.status_code for answer in from_everywhere(hub, ADMIN, 6)] == [401, 401, 429, 429, 429, 429]
    assert sign_in(elsewhere(hub, device), form) == 303
    assert sign_in(elsewhere(hub, device[:-1]), form) == 429
    # Somebody else's device is a stranger's, and nobody learns who has an account.
    assert sign_in(elsewhere(hub, device), {**form, "email": "x@example.org"}) == 401


def sign_in(browser: Browser, form: dict[str, str]) -> int:
    return browser.post("/sign-in", data=form, follow_redirects=False).status_code


def elsewhere(hub: CloudHub, device: str) -> Browser:
    browser = hub.browser(**{"X-Forwarded-For": "198.51.100.7"})
    browser.cookies.set("device", device)
    return browser


@pytest.mark.usefixtures("_few")
def test_all_processes_count_together(start: Start) -> None:
    first, second = start(), start(admin="second@example.org")
    codes = [code for _ in range(2) for hub in (first, second) for code in statuses(hub, 1)]
    assert codes == [401, 401, 401, 429]


def test_a_site_and_an_address_have_limits_for_all_who_ask(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = start(QURBANI_TRUSTED_PROXIES="127.0.0.1")
    busy, calm = hub.site(), hub.site()
    people = [hub.staff("admin"), hub.staff("auditor")]

    def ask(who: Person, site: str, address: str = "203.0.113.1") -> int:
        return who.http.get(f"/api/v1/sites/{site}/animals", headers={"X-Forwarded-For": address}).status_code

    monkeypatch.setitem(LIMITS, "site", Limit(4, 600))
    assert [ask(who, busy) for _ in range(3) for who in people] == [200, 200, 200, 200, 429, 429]
    assert [ask(who, calm) for who in people] == [200, 200]
    monkeypatch.setitem(LIMITS, "address", Limit(2, 600))
    assert [ask(who, calm, "203.0.113.2") for who in (*people, hub.staff("admin"))] == [200, 200, 429]
    assert ask(people[0], calm, "203.0.113.3") == 429  # of the site's four these were two, and the first two


def test_without_redis_nobody_signs_in_and_who_is_in_goes_on(start: Start) -> None:
    hub = start(QURBANI_REDIS_URL="redis://127.0.0.1:1/0")
    answer = hub.stranger.http.post(SIGN_IN, json={"email": ADMIN, "password": hub.password})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    hub.admin.get("/api/v1/sites")
