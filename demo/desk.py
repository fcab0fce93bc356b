"""People at the hub, as programs: an admin at the desk, and donors. They use the hub's HTTP API and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from demo.answers import answer
from demo.authenticator import Authenticator
from demo.browser import Browser
from demo.mailbox import LINK, Mailbox

CONFIRM_S = 60.0
"""How long the letter with which an address is confirmed may take."""


class Person:
    """Somebody with an account at the hub at ``url``."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self.email, self.password = email, password
        self.http = httpx.Client(base_url=url, timeout=30)
        self._origin = url

    def sign_in(self) -> None:
        self._use(self.post("/api/v1/auth/sign-in", {"email": self.email, "password": self.password}))

    def _use(self, tokens: dict[str, str]) -> None:
        self.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def get(self, path: str) -> Any:
        return answer(self.http.get(path))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return answer(self.http.post(path, json=body))


class Donor(Person):
    """A donor who registers, confirms the address and orders; the password is made here."""

    @classmethod
    def register(cls, url: str, name: str, email: str, language: str, mailbox: Mailbox) -> Donor:
        donor = cls(url, email, secrets.token_urlsafe(12))
        account = {"name": name, "email": email, "password": donor.password, "language": language,
                   "consents": ["order_mail"]}
        donor.post("/api/v1/donors", account)
        letter = mailbox.wait_for(lambda mail: email in mail.recipients, CONFIRM_S)
        told = parse_qs(urlsplit(LINK.findall(letter.text)[0]).query)
        donor.confirm(told["token"][0])
        return donor

    def confirm(self, token: str) -> None:
        """Confirm the address with what the letter's link says, and sign in."""
        self._use(self.post("/api/v1/auth/confirm", {"token": token, "password": self.password}))

    @contextmanager
    def browse(self) -> Iterator[Browser]:
        """A browser in which the donor has signed in on the page: it has the cookie and no token."""
        with Browser(self._origin) as browser:
            page = browser.post("/sign-in", data={"email": self.email, "password": self.password, "to": "/orders"})
            if page.status_code != 303:
                answer(page)
            yield browser

    def order(self, species: str, shares: list[dict[str, Any]]) -> dict[str, Any]:
        placed: dict[str, Any] = self.post("/api/v1/orders", {"species": species, "shares": shares})
        return placed


class Admin(Person):
    """Whoever runs the hub: sites, animals, executors, boxes; books payments and allocates."""

    app: Authenticator | None = None

    def sign_in(self) -> None:
        """With a code of the app, which is set up the first time."""
        super().sign_in()
        self.app = self.app or Authenticator(self.post("/api/v1/auth/second-factor/begin")["secret"])
        self.post("/api/v1/auth/second-factor", {"code": self.app.code()})

    def add_site(self, name: str, timezone: str, languages: list[str]) -> str:
        site: str = self.post("/api/v1/sites", {"name": name, "timezone": timezone, "languages": languages})["id"]
        return site

    def add_animal(self, site: str, tag: str, species: str, pen: str) -> None:
        self.post(f"/api/v1/sites/{site}/animals", {"tag": tag, "species": species, "pen": pen})

    def add_executor(self, site: str, name: str, language: str) -> str:
        """Returns the PIN, which is made here."""
        pin = f"{secrets.randbelow(10**8):08}"
        self.post(f"/api/v1/sites/{site}/executors", {"name": name, "language": language, "pin": pin})
        return pin

    def enrolment_code(self, site: str) -> str:
        code: str = self.post(f"/api/v1/sites/{site}/enrolment-codes")["code"]
        return code

    def freeze(self, site: str) -> None:
        """Fix who is on which animal, before it is slaughtered."""
        self.post(f"/api/v1/sites/{site}/freeze", {})

    def book_and_allocate(self, order: dict[str, Any], site: str, minor: int, currency: str) -> str:
        """Book the whole payment of an order, seat it at the site, and return the tag of its first animal."""
        payment = {"key": f"cash-{order['reference']}", "minor": minor, "currency": currency, "method": "cash"}
        self.post(f"/api/v1/orders/{order['id']}/payments", payment)
        animals = self.post(f"/api/v1/orders/{order['id']}/allocate", {"site_id": site})
        tag: str = animals[0]["tag"]
        return tag
