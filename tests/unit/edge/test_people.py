"""How old the list of people is, whatever the clocks do, and what signing in takes then."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from argon2 import PasswordHasher

from edge.auth import Auth, Witness
from edge.capture import Capture
from edge.db import Database
from edge.node import Keys
from edge.outbox import Outbox
from edge.people import LEASE, People, vouch
from shared.clock import ManualClock
from shared.errors import QurbaniError
from shared.ids import new_id
from sync.messages import Change

HOUR = 3_600_000
DAY = 24 * HOUR
PIN_HASH = PasswordHasher(1, 8, 1).hash("2580")
AMINA, YUSUF, GONE = new_id(), new_id(), new_id()


@pytest.fixture
def outbox(db: Database, keys: Keys, capture: Capture, clock: ManualClock) -> Outbox:
    """Of a box that has heard the hub just now, and of two people."""
    outbox = Outbox(db, keys, capture, clock)
    fields = {"name": "X", "pin_hash": PIN_HASH}
    people = [Change(10 + n, "executor", id, fields) for n, id in enumerate([AMINA, YUSUF])]
    capture.apply_feed(people, 11)
    outbox.heard(clock.wall_ms)
    return outbox


@pytest.fixture
def people(db: Database, clock: ManualClock, outbox: Outbox) -> People:
    return People(db, clock)


@pytest.fixture
def auth(db: Database, keys: Keys, clock: ManualClock, people: People) -> Auth:
    return Auth(db, keys.sign, clock, timedelta(hours=12), people)


def reboot(people: People, clock: ManualClock, wall_ms: int) -> None:
    people.look()
    clock.boot, clock.mono_ms = f"{clock.boot}+", 0
    clock.wall_ms = wall_ms
    people.look()  # as a box does when it starts


def refused(auth: Auth, who: UUID, witness: Witness | None = None) -> str:
    with pytest.raises(QurbaniError) as raised:
        auth.sign_in(who, "2580", witness)
    return raised.value.code


def test_one_pin_is_enough_as_long_as_the_list_is_believed(auth: Auth, clock: ManualClock, outbox: Outbox) -> None:
    clock.advance(72 * HOUR - 1)
    auth.sign_in(AMINA, "2580")
    clock.advance(1)
    assert refused(auth, AMINA) == "people_old"
    outbox.heard(clock.wall_ms)
    auth.sign_in(AMINA, "2580")


def test_then_it_takes_two_and_whoever_is_in_stays_in(auth: Auth, clock: ManualClock) -> None:
    clock.advance(71 * HOUR)
    token, _ = auth.sign_in(AMINA, "2580")
    clock.advance(HOUR)
    assert auth.executor(token).id == AMINA
    assert refused(auth, AMINA, Witness(AMINA, "2580")) == "people_old", "nobody vouches for himself"
    assert refused(auth, AMINA, Witness(YUSUF, "0000")) == "bad_credentials"
    assert refused(auth, AMINA, Witness(GONE, "2580")) == "bad_credentials"
    assert auth.sign_in(AMINA, "2580", Witness(YUSUF, "2580"))[1].id == AMINA


def test_guessing_a_witness_is_slowed_down_too(auth: Auth, clock: ManualClock) -> None:
    clock.advance(72 * HOUR)
    codes = [refused(auth, AMINA, Witness(YUSUF, "0000")) for _ in range(6)]
    assert codes[-1] == "too_many_requests"


@pytest.mark.parametrize("jump", [-20_000 * DAY, -3 * DAY, 20_000 * DAY])
def test_a_clock_that_jumps_while_it_runs_changes_nothing(people: People, clock: ManualClock, jump: int) -> None:
    clock.advance(50 * HOUR)
    clock.wall_ms += jump
    assert people.status().age_s == 50 * 3600
    clock.advance(22 * HOUR)
    assert people.is_old()


def test_setting_the_clock_back_makes_no_list_younger(people: People, clock: ManualClock) -> None:
    """Not even with a restart at each step."""
    for _ in range(8):
        clock.advance(10 * HOUR)
        reboot(people, clock, clock.wall_ms - 10 * HOUR)
    assert people.is_old()


def test_the_time_of_a_night_without_power_counts(people: People, clock: ManualClock) -> None:
    clock.advance(62 * HOUR)
    reboot(people, clock, clock.wall_ms + 10 * HOUR)
    assert people.status().age_s == 72 * 3600


@pytest.mark.parametrize("wall_ms", [0, 4_000_000_000_000])
def test_a_box_that_wakes_in_another_age_keeps_the_time_that_it_has_seen(
    people: People, clock: ManualClock, wall_ms: int
) -> None:
    clock.advance(5 * HOUR)
    reboot(people, clock, wall_ms)
    assert people.status().age_s == 5 * 3600
    clock.advance(HOUR)
    assert people.status().age_s == 6 * 3600


def test_what_came_by_hand_is_as_old_as_it_says(people: People, db: Database, clock: ManualClock) -> None:
    clock.advance(100 * HOUR)
    issued = clock.wall_ms - 30 * HOUR
    db.write(lambda tx: vouch(tx, clock.read(), issued, by_hand=True))
    assert people.status().age_s == 30 * 3600
    db.write(lambda tx: vouch(tx, clock.read(), issued - 1, by_hand=True))
    assert people.status().age_s == 30 * 3600, "an older one says nothing"


def test_by_a_clock_that_is_slow_it_is_new_and_never_older_than_before(
    people: People, db: Database, clock: ManualClock
) -> None:
    clock.advance(10 * HOUR)
    db.write(lambda tx: vouch(tx, clock.read(), clock.wall_ms + DAY, by_hand=True))
    assert people.status().age_s == 0
    clock.advance(HOUR)
    clock.wall_ms += 40 * DAY
    db.write(lambda tx: vouch(tx, clock.read(), clock.wall_ms - 30 * DAY, by_hand=True))
    assert people.status().age_s == 3600


def test_a_box_that_was_never_told_anything(db: Database, clock: ManualClock) -> None:
    status = People(db, clock).status()
    assert (status.age_s, status.lease_s, status.is_old) == (None, LEASE.total_seconds(), False)
