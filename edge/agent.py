"""Syncs with the hub whenever there is a link, and tells honestly when there is none: that is a normal state."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

import httpx
import structlog

from edge.bus import Ear
from edge.line import Cap
from edge.outbox import Outbox
from edge.settings import Settings
from shared.errors import QurbaniError
from sync.backoff import delay_s
from sync.calls import Call, Reply, drive
from sync.schedule import Line
from sync.session import Session

_log = structlog.get_logger(__name__)


def client(settings: Settings, hub_url: str) -> httpx.Client:
    """HTTP to the hub, with a time limit for each phase. HTTP/1.1, which is the faster one for large bodies."""
    timeout = httpx.Timeout(
        connect=settings.sync_connect_timeout_s,
        read=settings.sync_read_timeout_s,
        write=settings.sync_write_timeout_s,
        pool=settings.sync_pool_timeout_s,
    )
    http = httpx.Client(base_url=hub_url, timeout=timeout, follow_redirects=False)
    for name in ("accept", "accept-encoding", "connection", "user-agent"):
        del http.headers[name]  # they say nothing to the hub, and a slow line carries them with every call
    return http


def send(http: httpx.Client, call: Call) -> Reply:
    """One call of a conversation over HTTP. Raises ``unavailable`` when no answer comes."""
    try:
        answer = http.request(call.method, call.path, headers=call.headers, content=call.body)
    except httpx.TransportError as error:
        raise QurbaniError("unavailable", f"no answer from {http.base_url}: {error!r}") from error
    headers: Mapping[str, str] = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(answer.status_code, headers, answer.content)


class Agent:
    """Runs the session again and again: at a bell, after an interval, and after a failure with growing patience."""

    def __init__(self, session: Session, outbox: Outbox, http: httpx.Client, ear: Ear, settings: Settings,
                 cap: Cap | None = None) -> None:
        self._session = session
        self._outbox = outbox
        self._http = http
        self._ear = ear
        self._settings = settings
        self._cap = cap or Cap(Line())
        self._failures = 0

    def run(self) -> None:
        """For ever. Ending it at any moment is safe: what the hub has confirmed is remembered as it comes."""
        while True:
            self._ear.wait(self.once())

    def once(self) -> float:
        """One session; the seconds until the next one, unless a bell rings before."""
        try:
            refused = drive(self._session.run(), self._send)
        except QurbaniError as error:
            return self._failed(error)
        self._failures = 0
        for blob_id, refusal in refused.items():
            _log.warning("blob_refused", blob=blob_id, code=refusal.code, detail=refusal.detail)
            self._outbox.failed(f"{refusal.code}: {refusal.detail}")
        return self._settings.sync_interval_s

    def _send(self, call: Call) -> Reply:
        self._cap.before(call)
        return send(self._http, call)

    def _failed(self, error: QurbaniError) -> float:
        self._failures += 1
        self._outbox.failed(f"{error.code}: {error.detail}")
        wait = delay_s(self._failures, error, random.random, self._settings.sync_retry_max_s)
        _log.info("hub_not_reached", code=error.code, detail=error.detail, failures=self._failures, again_in_s=wait)
        asked = float(error.facts.get("retry_after", 0))
        time.sleep(asked)  # no bell ends what the hub has asked for
        return wait - asked
