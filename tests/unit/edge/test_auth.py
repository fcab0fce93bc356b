from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from argon2 import PasswordHasher

from edge.auth import FREE_TRIES, MAX_WAIT_S, Auth
from edge.capture import Capture
from edge.db import Database
from edge.node import Keys
from shared.clock import ManualClock
from shared.crypto import SigningKey
from shared.errors import QurbaniError
from shared.ids import new_id
from sync.messages import Change

LIFE = timedelta(hours=12)
PIN_HASH = PasswordHasher(1, 8, 1).hash("2580")


@pytest.fixture
def executor(capture: Capture) -> UUID:
    id = new_id()
    capture.apply_feed([Change(10, "executor", id, {"name": "Amina", "pin_hash": PIN_HASH, "language": "fr"})], 10)
    return id


@pytest.fixture
def auth(db: Database, keys: Keys, clock: ManualClock) -> Auth:
    return Auth(db, keys.sign, clock, LIFE)


def refused(code: str, ask: Callable[[], object]) -> QurbaniError:
    with pytest.raises(QurbaniError) as raised:
        ask()
    assert raised.value.code == code
    return raised.value


def test_a_pin_becomes_a_token_becomes_an_executor(auth: Auth, executor: UUID) -> None:
    token, signed_in = auth.sign_in(executor, "2580")
    assert (signed_in.id, signed_in.name, signed_in.language) == (executor, "Amina", "fr")
    assert auth.executor(token) == signed_in


@pytest.mark.parametrize("hash", [None, "", "2580", "$argon2id$broken"])
def test_an_executor_without_a_proper_hash_cannot_sign_in(auth: Auth, capture: Capture, hash: str | None) -> None:
    id = new_id()
    capture.apply_feed([Change(11, "executor", id, {"name": "X", "pin_hash": hash})], 11)
    refused("bad_credentials", lambda: auth.sign_in(id, hash or ""))


def test_guessing_is_slowed_down_and_never_locked(auth: Auth, executor: UUID, clock: ManualClock) -> None:
    for _ in range(FREE_TRIES):
        refused("bad_credentials", lambda: auth.sign_in(executor, "0000"))
    waits = []
    for _ in range(8):
        refused("bad_credentials", lambda: auth.sign_in(executor, "0000"))
        waits.append(refused("too_many_requests", lambda: auth.sign_in(executor, "2580")).facts["retry_after"])
        clock.advance(int(waits[-1] * 1000))
    assert waits == [2, 4, 8, 16, 32, MAX_WAIT_S, MAX_WAIT_S, MAX_WAIT_S]
    auth.sign_in(executor, "2580")
    refused("bad_credentials", lambda: auth.sign_in(executor, "0000"))
    auth.sign_in(executor, "2580")


def test_one_executor_does_not_slow_down_another(auth: Auth, executor: UUID) -> None:
    other = new_id()
    for _ in range(FREE_TRIES + 1):
        refused("bad_credentials", lambda: auth.sign_in(other, "0000"))
    refused("too_many_requests", lambda: auth.sign_in(other, "0000"))
    auth.sign_in(executor, "2580")


def test_a_session_ends(auth: Auth, executor: UUID, clock: ManualClock) -> None:
    token, _ = auth.sign_in(executor, "2580")
    clock.advance(LIFE // timedelta(milliseconds=1) - 1)
    auth.executor(token)
    clock.advance(1)
    refused("not_signed_in", lambda: auth.executor(token))


@pytest.mark.parametrize("days", [-20_000, -1, 1, 4_000])
def test_a_wall_clock_that_jumps_signs_nobody_out(auth: Auth, executor: UUID, clock: ManualClock, days: int) -> None:
    token, _ = auth.sign_in(executor, "2580")
    clock.wall_ms += days * 86_400_000
    auth.executor(token)


def test_after_a_boot_the_wall_clock_is_all_there_is(auth: Auth, executor: UUID, clock: ManualClock) -> None:
    token, _ = auth.sign_in(executor, "2580")
    clock.boot, clock.mono_ms = "boot-1", 0
    clock.wall_ms += 3_600_000
    auth.executor(token)
    clock.wall_ms -= 2 * 86_400_000
    refused("not_signed_in", lambda: auth.executor(token))


def test_whom_the_hub_takes_away_is_out_at_once(auth: Auth, executor: UUID, capture: Capture) -> None:
    token, _ = auth.sign_in(executor, "2580")
    capture.apply_feed([Change(12, "executor", executor, None)], 12)
    refused("not_signed_in", lambda: auth.executor(token))
    refused("bad_credentials", lambda: auth.sign_in(executor, "2580"))


def test_forged_tokens(auth: Auth, executor: UUID, db: Database, clock: ManualClock) -> None:
    token, _ = auth.sign_in(executor, "2580")
    raw = bytearray(urlsafe_b64decode(token))
    for place in range(0, len(raw), 7):
        forged = bytes(raw[:place]) + bytes([raw[place] ^ 1]) + bytes(raw[place + 1 :])
        refused("not_signed_in", lambda forged=forged: auth.executor(urlsafe_b64encode(forged).decode()))
    elsewhere = Auth(db, SigningKey.generate(), clock, LIFE)
    refused("not_signed_in", lambda: elsewhere.executor(token))
    for text in ("", "x", "é", "A" * 88, token[:-4], token + "AAAA"):
        refused("not_signed_in", lambda text=text: auth.executor(text))
