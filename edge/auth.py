"""Executors sign in with a PIN that the hub issued; it works with the cable out.

A PIN has few digits, so guessing is slowed down, for each executor by itself: after :data:`FREE_TRIES`
wrong ones the wait doubles with every further one. It never locks for good; a prank must not stop the day.

A token is a signed clock reading, not a JWT: its age is told by the monotonic clock, because the wall clock
of a box may jump by days and must not sign anybody out, or keep anybody in.
"""

from __future__ import annotations

import threading
from base64 import b64decode, urlsafe_b64encode
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edge.db import Database
from edge.people import People
from shared.clock import Clock, Reading
from shared.crypto import SigningKey
from shared.errors import QurbaniError

FREE_TRIES = 4
MAX_WAIT_S = 60.0

_SIGNED = b"qurbani/session/1\0"
_SIGNATURE_BYTES = 64
_log = structlog.get_logger(__name__)


class Executor(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    language: str | None = None


class Witness(msgspec.Struct, frozen=True):
    """Somebody else of the list, who vouches for whoever signs in."""

    executor_id: UUID
    pin: str


class Throttle:
    """Who has to wait before the next try, and how long. Kept in memory: a restart forgives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[UUID, tuple[int, int]] = {}

    def begin(self, who: UUID) -> None:
        """Count a try before its outcome is known, so that many at once gain nothing.

        Raises ``too_many_requests`` with ``retry_after`` seconds when it comes too early.
        """
        now = self._clock.read().mono_ms
        with self._lock:
            count, until = self._failures.get(who, (0, now))
            if now < until:
                raise QurbaniError("too_many_requests", "wait before the next PIN", retry_after=(until - now) / 1000)
            count += 1
            wait_s = min(2.0 ** (count - FREE_TRIES), MAX_WAIT_S) if count > FREE_TRIES else 0.0
            self._failures[who] = count, now + int(wait_s * 1000)

    def succeed(self, who: UUID) -> None:
        with self._lock:
            self._failures.pop(who, None)


class _Session(msgspec.Struct, frozen=True, array_like=True):
    executor: UUID
    began: Reading


class Auth:
    """Turns a PIN into a token and a token into an executor. Tokens are good on this box only, for ``life``."""

    def __init__(
        self, db: Database, key: SigningKey, clock: Clock, life: timedelta, people: People | None = None
    ) -> None:
        self._db = db
        self._key = key
        self._clock = clock
        self.life = life
        self._people = people or People(db, clock)
        self._hasher = PasswordHasher()
        self._throttle = Throttle(clock)

    @property
    def needs_witness(self) -> bool:
        """Whether nobody can sign in alone now."""
        return self._people.is_old()

    def sign_in(self, executor_id: UUID, pin: str, witness: Witness | None = None) -> tuple[str, Executor]:
        """A bearer token for whoever knows the PIN.

        Raises ``bad_credentials`` or ``too_many_requests``, and ``people_old`` where the list of people is too old for
        one to be believed without another one of it.
        """
        executor = self._check(executor_id, pin)
        if self._people.is_old():
            if witness is None or witness.executor_id == executor_id:
                raise QurbaniError("people_old")
            self._check(witness.executor_id, witness.pin)
            _log.warning("vouched_for", executor=str(executor_id), by=str(witness.executor_id))
        claims = msgspec.msgpack.encode(_Session(executor_id, self._clock.read()))
        token = urlsafe_b64encode(self._key.sign(_SIGNED + claims) + claims).decode()
        return token, executor

    def _check(self, executor_id: UUID, pin: str) -> Executor:
        self._throttle.begin(executor_id)
        rows = self._db.rows("SELECT id, name, language, pin_hash FROM executor WHERE id = ?", str(executor_id))
        try:
            self._hasher.verify((rows[0]["pin_hash"] if rows else None) or "", pin)
        except (VerificationError, InvalidHashError) as error:
            raise QurbaniError("bad_credentials", "wrong PIN") from error
        self._throttle.succeed(executor_id)
        return msgspec.convert(rows[0], Executor)

    def executor(self, token: str) -> Executor:
        """Who holds this token. Raises ``not_signed_in``, also when the hub has taken the executor away."""
        session = self._session(token)
        if self._age_ms(session.began) >= self.life // timedelta(milliseconds=1):
            raise QurbaniError("not_signed_in", "the session has ended")
        rows = self._db.rows("SELECT id, name, language FROM executor WHERE id = ?", str(session.executor))
        if not rows:
            raise QurbaniError("not_signed_in", "this executor works here no longer")
        return msgspec.convert(rows[0], Executor)

    def _session(self, token: str) -> _Session:
        try:
            raw = b64decode(token, altchars=b"-_", validate=True)
            signature, claims = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
            self._key.public.verify(signature, _SIGNED + claims)
        except (ValueError, QurbaniError) as error:
            raise QurbaniError("not_signed_in", "this token is not from this box") from error
        return msgspec.msgpack.decode(claims, type=_Session)

    def _age_ms(self, began: Reading) -> int:
        now = self._clock.read()
        if now.boot == began.boot:
            return now.mono_ms - began.mono_ms
        return abs(now.wall_ms - began.wall_ms)
