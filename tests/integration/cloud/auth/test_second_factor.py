"""Second factors, devices that prove themselves, and what admins do with other people's accounts."""

from __future__ import annotations

import base64
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from cloud.platform import access
from demo.authenticator import Authenticator
from shared.crypto import SigningKey
from shared.ids import new_id
from sync import tokens
from tests.cloud_hub import CloudHub, Person

SIGN_IN, REFRESH, ME = "/api/v1/auth/sign-in", "/api/v1/auth/refresh", "/api/v1/auth/me"
BEGIN, PROVE = "/api/v1/auth/second-factor/begin", "/api/v1/auth/second-factor"
PASSWORD = "velvet harbour nine"


@pytest.fixture(scope="module")
def auditor(hub: CloudHub) -> Person:
    """Somebody who was invited, and has chosen a password."""
    email = f"{secrets.token_hex(6)}@example.org"
    invited = {"name": "Nadia", "email": email, "role": "auditor", "language": "en"}
    hub.admin.post("/api/v1/accounts", invited)
    hub.admin.post("/api/v1/accounts", invited, status=409)
    hub.stranger.post("/api/v1/auth/reset", {"token": hub.token(email), "password": PASSWORD}, status=204)
    return hub.sign_in(email, PASSWORD)


@pytest.fixture(scope="module")
def app(auditor: Person) -> Authenticator:
    """The auditor's app, set up."""
    assert auditor.get("/api/v1/orders", status=403)["code"] == "second_factor_needed"
    assert auditor.post(PROVE, {"code": "000000"}, status=409)["code"] == "conflict"
    app = Authenticator(auditor.post(BEGIN)["secret"])
    assert auditor.post(PROVE, {"code": "000000"}, status=401)["code"] == "wrong_code"
    auditor.get("/api/v1/orders", status=403)
    auditor.codes = auditor.post(PROVE, {"code": app.code()})["recovery_codes"]  # type: ignore[attr-defined]
    auditor.get("/api/v1/orders")
    auditor.post(BEGIN, status=409)
    return app


def test_a_password_alone_opens_nothing_and_a_code_works_once(
    hub: CloudHub, auditor: Person, app: Authenticator
) -> None:
    here, there = (hub.sign_in(auditor.email, PASSWORD) for _ in range(2))
    for path in ("/api/v1/orders", "/api/v1/sites", "/api/v1/reviews"):
        assert here.get(path, status=403)["code"] == "second_factor_needed"
    here.post(BEGIN, status=409)  # nobody with the password alone puts an app of his own in its place
    here.ask("DELETE", PROVE, status=403)
    code = app.code()
    with ThreadPoolExecutor(4) as racing:
        found = list(racing.map(lambda _: here.http.post(PROVE, json={"code": code}).status_code, range(4)))
    assert sorted(found) == [200, 401, 401, 401]
    there.post(PROVE, {"code": code}, status=401)
    there.get("/api/v1/orders", status=403)
    here.get("/api/v1/orders")


def test_recovery_codes_work_once_and_only_for_their_account(
    hub: CloudHub, auditor: Person, app: Authenticator
) -> None:
    kept: list[str] = auditor.codes  # type: ignore[attr-defined]
    assert len(set(kept)) == 10
    lost = hub.sign_in(auditor.email, PASSWORD)
    other = hub.staff("auditor")
    other.post(BEGIN)
    other.post(PROVE, {"code": kept[0]}, status=401)
    lost.post(PROVE, {"code": kept[0].lower().replace("-", " ")})
    lost.get("/api/v1/orders")
    lost.post(PROVE, {"code": kept[0]}, status=401)
    assert not [row for row in hub.sql("SELECT u::text FROM auth.users u") if kept[1].replace("-", "") in row]


def test_money_and_roles_want_it_shown_lately(hub: CloudHub, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, donor = hub.staff("admin"), hub.donor()
    monkeypatch.setattr(access, "STEP_UP", access.STEP_UP * -1)
    refused = admin.ask("PATCH", f"/api/v1/accounts/{donor.id}", {"disabled": True}, status=403)
    assert refused["code"] == "step_up_needed"
    assert admin.post("/api/v1/refunds/approve", {"key": "x"}, status=403)["code"] == "step_up_needed"
    donor.get(ME)


def test_whoever_gets_another_role_or_is_shut_out_is_so_at_once(hub: CloudHub) -> None:
    donor, account = hub.donor(), "/api/v1/accounts/"
    for change, status in (({"role": "king"}, 400), ({"confirmed": None}, 400)):
        hub.admin.ask("PATCH", account + donor.id, change, status=status)
    hub.admin.ask("PATCH", account + str(new_id()), {"disabled": True}, status=404)
    hub.admin.ask("PATCH", account + hub.admin.get(ME)["id"], {"disabled": True}, status=409)
    donor.ask("PATCH", account + donor.id, {"role": "admin"}, status=403)
    hub.admin.ask("PATCH", account + donor.id, {"disabled": True})
    donor.get(ME, status=401)
    who = {"email": donor.email, "password": donor.password}
    hub.stranger.post(SIGN_IN, who, status=401)
    changed = hub.admin.ask("PATCH", account + donor.id, {"disabled": False, "role": "driver"})
    assert (changed["role"], changed["disabled"]) == ("driver", None)
    assert hub.sign_in(**who).get(ME)["role"] == "driver"
    assert donor.id in [found["id"] for found in hub.admin.get("/api/v1/accounts?role=driver")]
    told = """SELECT facts->>'granted' FROM platform.audit
              WHERE action = 'auth.change_account' AND outcome = 'done' AND subject = :id ORDER BY id"""
    assert hub.sql(told, id=donor.id) == ["donor", "driver"]


def test_in_the_browser_the_first_sign_in_sets_the_app_up(hub: CloudHub) -> None:
    hub.staff("auditor")
    email = f"{secrets.token_hex(6)}@example.org"
    hub.admin.post("/api/v1/accounts", {"name": "Nadia", "email": email, "role": "auditor", "language": "en"})
    browser = hub.browser()
    browser.post("/reset", data={"token": hub.token(email), "password": PASSWORD})
    start = browser.post("/sign-in", data={"email": email, "password": PASSWORD, "to": "/review"})
    assert start.url.path == "/second-factor"
    assert browser.get("/review").url.path == "/second-factor"
    shown = browser.post("/second-factor/begin").text
    assert 'src="data:image/svg+xml;base64,' in shown
    secret = re.search(r'class="mono">(\w+)<', shown)
    assert secret
    assert browser.post("/second-factor", data={"code": "000000", "to": "/review"}).status_code == 401
    code = Authenticator(secret[1]).code()
    assert browser.post("/second-factor", data={"code": code, "to": "/review"}).text.count('class="mono"') == 10
    assert browser.get("/review").url.path == "/review"


# Devices


class Phone:
    """A program with a key of its own, which may lose answers."""

    def __init__(self, hub: CloudHub, person: Person) -> None:
        self.hub, self.key = hub, SigningKey.generate()
        public = base64.urlsafe_b64encode(self.key.public.raw).decode()
        account = {"email": person.email, "password": person.password, "device_key": public}
        self.tokens: dict[str, str] = hub.stranger.post(SIGN_IN, account)

    def refresh(self, key: SigningKey | None = None, *, is_lost: bool = False) -> int:
        token = self.tokens["refresh_token"]
        proof = self.proof("POST", REFRESH, token, key)
        answer = self.hub.stranger.http.post(REFRESH, json={"refresh_token": token}, headers=proof)
        if answer.is_success and not is_lost:
            self.tokens = answer.json()
        return answer.status_code

    def proof(self, method: str, path: str, token: str, key: SigningKey | None = None) -> dict[str, str]:
        now_ms = self.hub.platform.clock.read().wall_ms
        return {tokens.PROOF: tokens.possession(key or self.key, method, path, token, now_ms=now_ms)}

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.hub.stranger.http.get(path, headers={
            "Authorization": f"Bearer {self.tokens['access_token']}", **headers})  # fmt: skip


@pytest.fixture(scope="module")
def person(hub: CloudHub) -> Person:
    return hub.donor()


def test_a_lost_answer_is_asked_for_again_by_the_same_device(hub: CloudHub, person: Person) -> None:
    phone = Phone(hub, person)
    for _ in range(5):
        assert phone.refresh(is_lost=True) == 200
        assert phone.refresh(is_lost=True) == 200
        assert phone.refresh() == 200
    assert phone.get(ME, **phone.proof("GET", ME, phone.tokens["access_token"])).status_code == 200


def test_once_its_successor_was_used_it_is_a_copy(hub: CloudHub, person: Person) -> None:
    phone = Phone(hub, person)
    copied = dict(phone.tokens)
    assert (phone.refresh(), phone.refresh()) == (200, 200)
    newest, phone.tokens = phone.tokens, copied
    assert phone.refresh() == 401
    phone.tokens = newest
    assert phone.refresh() == 401


def test_another_device_ends_it_for_both(hub: CloudHub, person: Person) -> None:
    phone = Phone(hub, person)
    assert phone.refresh(SigningKey.generate()) == 401
    assert phone.refresh() == 401


def test_an_answer_that_was_lost_for_long_is_not_given_again(hub: CloudHub, person: Person) -> None:
    phone = Phone(hub, person)
    phone.refresh(is_lost=True)
    older = "UPDATE auth.sessions SET used = used - interval '31 seconds' WHERE user_id = :id RETURNING id"
    assert hub.sql(older, id=person.id)
    assert phone.refresh() == 401


def test_a_token_that_was_copied_is_of_no_use_without_the_key(hub: CloudHub, person: Person) -> None:
    phone = Phone(hub, person)
    token = phone.tokens["access_token"]
    forged: list[dict[str, Any]] = [
        {}, phone.proof("GET", ME, token, SigningKey.generate()), phone.proof("POST", ME, token),
        phone.proof("GET", "/api/v1/orders", token), phone.proof("GET", ME, token + "x"),
    ]  # fmt: skip
    assert [phone.get(ME, **headers).status_code for headers in forged] == [401] * 5
    assert phone.get(ME, **phone.proof("GET", ME, token)).status_code == 200
    account = {"email": person.email, "password": person.password, "device_key": "AAAA"}
    hub.stranger.post(SIGN_IN, account, status=400)
