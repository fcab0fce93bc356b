"""Links that play a video without a cookie, for a few minutes: what a CDN can serve and a player can be handed.

A link says what it is of, in whose session it was made and until when, and ends with a MAC (HMAC-SHA256) over the verb
and every byte before. The whole target of a request is compared as it came, before any of it is read: another spelling
of the same address is another link, and nobody made that one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from urllib.parse import parse_qs
from uuid import UUID

from shared.clock import from_ms
from shared.errors import QurbaniError

LIFE = timedelta(minutes=10)
FRESH = timedelta(seconds=60)
"""So long a cache may show what it has without asking again, and so long a link may outlive the permission."""

_MAC = b"&mac="


def sign(key: bytes, path: str, session_id: UUID, now: datetime) -> tuple[str, datetime]:
    """A link that gets ``path`` for whoever is signed in as ``session_id``, and until when it does."""
    until = (now + LIFE).replace(microsecond=0)
    said = f"{path}?session={session_id}&until={int(until.timestamp())}".encode()
    return (said + _MAC + _mac(key, said)).decode(), until


def check(key: bytes, target: bytes, now: datetime) -> tuple[UUID, datetime]:
    """The session and the end of the link that a GET asks for, ``target`` with its query. Raises ``dead_link``."""
    said, _, mac = target.rpartition(_MAC)
    if not hmac.compare_digest(mac, _mac(key, said)):
        raise QurbaniError("dead_link", "the link is not one of ours")
    fields = parse_qs(said.partition(b"?")[2].decode())
    until = from_ms(int(fields["until"][0]) * 1000)
    if now >= until:
        raise QurbaniError("dead_link", f"the link ended at {until:%H:%M:%S} UTC")
    return UUID(fields["session"][0]), until


def caching(until: datetime, now: datetime) -> str:
    """How long an answer may be kept: by anybody, as the link is the permission."""
    return f"public, max-age={int(min(FRESH, until - now).total_seconds())}, must-revalidate"


def _mac(key: bytes, said: bytes) -> bytes:
    return base64.urlsafe_b64encode(hmac.digest(key, b"GET " + said, hashlib.sha256)).rstrip(b"=")
