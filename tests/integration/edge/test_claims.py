"""Ten tablets and the same animals, over HTTP: each is opened once, whoever vanishes meanwhile."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from shared.ids import new_id
from tests.box import Box, Tablet, running, until
from tests.hub import Hub, serving

TABLETS = 10
LEASE_S = 3.0


class Granted(msgspec.Struct, frozen=True):
    """A claim that a tablet got: ``asked`` before it, ``heard`` after it, by this machine's monotonic clock."""

    animal: UUID
    token: int
    tablet: str
    asked: float
    heard: float


class Racer:
    """A tablet in a hurry. On its first round it now and then takes an animal and is not heard of any more."""

    def __init__(self, box: Box, http: httpx.Client, name: str) -> None:
        self.claims: list[Granted] = []
        self.opened: list[tuple[UUID, int]] = []
        self.vanished: list[Granted] = []
        self._is_steady = False
        self._url = box.url
        self._http = http
        self._name = name
        self._random = random.Random(name)

    def race(self, animals: list[UUID]) -> None:
        """Until each animal is opened, by whomever."""
        while left := self._waiting(animals):
            self._random.shuffle(left)
            for animal in left:
                self._try(animal)
            self._is_steady = True
            time.sleep(0.1)  # what is left is claimed: there is nothing to win by asking at once

    def come_back(self) -> list[httpx.Response]:
        """What a tablet hears that opens what it had claimed before it vanished."""
        return [self._open(claim.animal, claim.token) for claim in self.vanished]

    def _try(self, animal: UUID) -> None:
        asked = time.monotonic()
        answer = self._ask(f"/api/v1/animals/{animal}/claim", {"tablet": self._name})
        if answer.status_code == 409:
            assert answer.json()["code"] == "claimed"
            return
        claim = Granted(animal, answer.json()["token"], self._name, asked, time.monotonic())
        self.claims.append(claim)
        if not self._is_steady and self._random.random() < 0.3:
            self.vanished.append(claim)
            return
        opened = self._open(animal, claim.token)
        if opened.status_code == 201:
            self.opened.append((animal, claim.token))
        else:
            assert opened.json()["code"] in ("conflict", "claim_lost"), opened.text

    def _waiting(self, animals: list[UUID]) -> list[UUID]:
        listed: list[dict[str, Any]] = self._http.get(f"{self._url}/api/v1/animals").json()
        waiting = {each["id"] for each in listed if each["state"] == "waiting"}
        return [animal for animal in animals if str(animal) in waiting]

    def _open(self, animal: UUID, token: int) -> httpx.Response:
        return self._ask("/api/v1/sacrifices", {"id": str(new_id()), "animal_id": str(animal), "claim": token})

    def _ask(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """As often as it takes: the server may hang up on an idle connection at the moment that we use it."""
        while True:
            with suppress(httpx.RemoteProtocolError):
                return self._http.post(self._url + path, json=body)


@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_no_animal_is_taken_twice(tmp_path: Path, count: int) -> None:
    lease = {"QURBANI_EDGE_CLAIM_S": str(LEASE_S)}
    with serving(Hub()) as hub, running(tmp_path, hub, animals=count, **lease) as (box, tablet, animals):
        until(lambda: len(tablet.ask("GET", "/api/v1/animals").json()) == count, what="the animals")
        racers = [Racer(box, tablet.http, f"tablet {number}") for number in range(TABLETS)]
        with ThreadPoolExecutor(TABLETS) as pool:
            list(pool.map(lambda racer: racer.race(animals), racers))
        opened = [each for racer in racers for each in racer.opened]
        back = [answer for racer in racers for answer in racer.come_back()]
        tokens = {row["animal_id"]: row["token"] for row in box.rows("SELECT * FROM claim")}
        assert len(box.rows("SELECT id FROM sacrifice")) == count

    assert sorted(animal for animal, _ in opened) == sorted(animals)
    assert back, "nobody has vanished: the race has proved nothing"
    assert {(answer.status_code, answer.json()["code"]) for answer in back} == {(409, "conflict")}
    claims = [claim for racer in racers for claim in racer.claims]
    for animal in animals:
        mine = [claim for claim in claims if claim.animal == animal]
        held: dict[int, list[Granted]] = {}
        for claim in mine:
            held.setdefault(claim.token, []).append(claim)
        assert all(len({claim.tablet for claim in each}) == 1 for each in held.values()), "two tablets, one token"
        for before, after in pairwise(sorted(held)):
            until_at_least = max(claim.asked for claim in held[before]) + LEASE_S
            assert min(claim.heard for claim in held[after]) >= until_at_least, "given away while somebody had it"
        assert tokens[str(animal)] == max(held)


def test_a_claim_is_renewed_by_its_tablet_and_given_up_on_leaving(tmp_path: Path) -> None:
    with serving(Hub()) as hub, running(tmp_path, hub) as (box, tablet, (animal,)):
        def claim(name: str, asking: Tablet = tablet) -> httpx.Response:
            return asking.http.post(f"{box.url}/api/v1/animals/{animal}/claim", json={"tablet": name})

        first = claim("one").json()
        assert claim("one").json() == first == {"token": 1, "seconds": 120.0}
        refused = claim("two")
        assert (refused.status_code, refused.json()["code"], refused.json()["by"]) == (409, "claimed", "Yusuf")
        box.kill()
        box.start()
        assert claim("two").status_code == 409, "a restart of the box must not give an animal away"
        tablet.ask("DELETE", f"/api/v1/animals/{animal}/claim", params={"token": 7})
        assert claim("two").status_code == 409, "only its own claim is given up"
        tablet.ask("DELETE", f"/api/v1/animals/{animal}/claim", params={"token": 1})
        assert claim("two").json()["token"] == 2
        opening = {"id": str(new_id()), "animal_id": str(animal)}
        stale = tablet.http.post(f"{box.url}/api/v1/sacrifices", json={**opening, "claim": 1})
        assert (stale.status_code, stale.json()["code"]) == (409, "claim_lost")
        tablet.ask("POST", "/api/v1/sacrifices", json={**opening, "claim": 2})
