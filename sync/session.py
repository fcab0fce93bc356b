"""The box's side of the protocol, without its network: a conversation that yields calls and takes replies.

Records come before videos: a session first exchanges everything that either side lacks, and while a video
travels, it exchanges again between two pieces as soon as there is news. What the hub acknowledges is in the
store before the next call, so a session can be cut anywhere and is simply run again.
"""

from __future__ import annotations

from collections.abc import Container
from uuid import UUID

import msgspec

from shared.clock import Clock
from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError
from shared.ids import NewId
from shared.tus.client import Pace, TusAnswer, TusRequest, Uploading, upload
from sync import feed, tokens
from sync.calls import Call, Reply, Steps, refusal
from sync.messages import (
    BLOBS,
    ENROL,
    EXCHANGE,
    MEDIA_TYPE,
    TOKEN,
    Enrol,
    Enrolled,
    Exchange,
    Exchanged,
    M,
    from_wire,
    to_wire,
)
from sync.ops import MAX_BATCH_BYTES, MAX_BATCH_OPS, VERSION
from sync.ports import Blobs, NodeStore, Outgoing, Position

TOKEN_MARGIN_MS = 30_000
"""A token is renewed this long before it ends, so that it does not end on the way."""
POLL_MS = 30_000
"""While a video travels, the hub is asked for news at least this often."""
CALL_S = 4.0
"""How long a call should take: as much is sent at once as the line bears in this time."""


class Identity(msgspec.Struct, frozen=True):
    """Who the box is, and the hub's public key as it was at enrolment."""

    node: UUID
    key: SigningKey
    hub: VerifyKey


def enrol(message: Enrol) -> Steps[Enrolled]:
    """Become a node. Raises ``bad_code`` when the code is not, or no longer, good for these keys."""
    reply = yield Call("POST", ENROL, {"content-type": MEDIA_TYPE}, to_wire(message))
    return _message(reply, Enrolled)


class Session:
    """A box's dealings with its hub: one object for as long as the box runs, :meth:`run` as often as it likes.

    It keeps nothing that could not be lost: the access token, the hub's time, the pace that the line bears,
    where the hub stands in each blob.
    """

    def __init__(self, identity: Identity, store: NodeStore, blobs: Blobs, clock: Clock, new_id: NewId) -> None:
        self._identity = identity
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._new_id = new_id
        self._token = ""
        self._token_until_ms = 0
        self._hub_ahead_ms: int | None = None
        self._exchanged_ms = 0
        self._ops = Pace(low=250, high=MAX_BATCH_OPS, aim_s=CALL_S)
        self._bytes = Pace(aim_s=CALL_S)
        self._uploads: dict[str, tuple[Uploading, TusRequest]] = {}

    def run(self) -> Steps[dict[str, QurbaniError]]:
        """Exchange all records, then send all blobs. Returns the blobs that the hub refused, and why, by id.

        Raises what stopped it: an error of the hub, or ``not_the_hub``. See sync.backoff for when to try again.
        """
        yield from self.exchange()
        refused: dict[str, QurbaniError] = {}
        while blob := self._most_wanted(refused):
            try:
                yield from self._send_piece(blob)
            except QurbaniError as error:
                if not _is_about_the_blob(error):
                    raise
                refused[blob.blob_id] = error
            yield from self._keep_up()
        return refused

    # Records

    def exchange(self) -> Steps[None]:
        """Hand over all ops and read the site feed to its end.

        Raises the hub's error, and ``fork`` when the hub holds ops that this box has not written: its disk was
        put back to an old state, or another box goes by its name.
        """
        acked, more = self._store.position().acked, True
        while more or acked < self._store.position().head:
            acked, more = yield from self._round_trip(acked)
        self._exchanged_ms = self._now_ms()

    def _round_trip(self, acked: int) -> Steps[tuple[int, bool]]:
        at = self._store.position()
        batch = self._store.batch(acked, self._ops.chunk, MAX_BATCH_BYTES) if acked < at.head else None
        body = to_wire(Exchange(at.node, at.cursor, batch))
        call = Call("POST", EXCHANGE, {"content-type": MEDIA_TYPE}, body)
        reply = yield from self._paced(call, self._ops, len(batch.lines) if batch else 0)
        error = refusal(reply)
        if error and error.code == "gap" and error.facts.get("acked") in range(acked):
            # The hub has lost what it had acknowledged, as after a restored backup. The box has it still.
            return error.facts["acked"], True
        answer = _message(reply, Exchanged)
        _check(at, answer)
        if batch and answer.acked < batch.first:
            raise QurbaniError("unavailable", "the hub took none of the ops")
        self._take_in(at, answer)
        return answer.acked, answer.more

    def _take_in(self, at: Position, answer: Exchanged) -> None:
        self._learn_time(answer.time_ms)
        self._store.heard(answer.time_ms)
        if answer.acked > at.acked or answer.parked:
            self._store.acknowledge(answer.acked, answer.parked)
        if answer.cursor > at.cursor:
            self._store.apply(answer.feed, answer.cursor)

    def _keep_up(self) -> Steps[None]:
        at = self._store.position()
        if at.head > at.acked or self._now_ms() - self._exchanged_ms >= POLL_MS:
            yield from self.exchange()

    # Blobs

    def _most_wanted(self, refused: Container[str]) -> Outgoing | None:
        return next((blob for blob in self._store.outgoing() if blob.blob_id not in refused), None)

    def _send_piece(self, blob: Outgoing) -> Steps[None]:
        """One call of the blob's upload; the first one creates it or finds it where it stands."""
        # Taken out while the call is on its way: without a good answer, the hub is asked where it stands.
        known = self._uploads.pop(blob.blob_id, None)
        uploading, request = known or self._begin(blob)
        call = Call(request.method, request.url, _lower(request.headers), bytes(request.body))
        reply = _good((yield from self._paced(call, self._bytes, len(call.body))))
        try:
            following = uploading.send(TusAnswer(reply.status, reply.headers, reply.body))
        except StopIteration:
            self._store.sent(blob.blob_id)
        else:
            self._uploads[blob.blob_id] = uploading, following

    def _begin(self, blob: Outgoing) -> tuple[Uploading, TusRequest]:
        metadata = {"id": blob.blob_id, "sha256": blob.blob_id, "kind": blob.kind, "record": str(blob.record)}
        uploading = upload(_Source(self._blobs, blob), BLOBS, metadata, self._bytes)
        return uploading, next(uploading)

    # Who calls, and at what time

    def _paced(self, call: Call, pace: Pace, size: int) -> Steps[Reply]:
        """The reply to ``call``, which carries ``size`` of what ``pace`` counts. A full one measures the line."""
        began = self._now_ms()
        try:
            reply = yield from self._call(call)
        except GeneratorExit:  # the driver got no answer
            pace.failed()
            raise
        if size >= pace.chunk:
            pace.took(size, (self._now_ms() - began) / 1000)
        return reply

    def _call(self, call: Call) -> Steps[Reply]:
        """The reply to ``call`` with a token; with a new one where the hub does not take the old one any more."""
        yield from self._renew_token()
        reply = yield self._signed(call)
        if reply.status == 401:
            self._token = ""
            yield from self._renew_token()
            reply = yield self._signed(call)
        return reply

    def _signed(self, call: Call) -> Call:
        return msgspec.structs.replace(call, headers=call.headers | {"authorization": f"Bearer {self._token}"})

    def _renew_token(self) -> Steps[None]:
        if self._token and self._now_ms() < self._token_until_ms - TOKEN_MARGIN_MS:
            return
        began, reply = self._now_ms(), (yield self._token_call())
        error = refusal(reply)
        if error and error.code == "clock_skew" and isinstance(error.facts.get("time_ms"), int):
            self._learn_time(error.facts["time_ms"])
            began, reply = self._now_ms(), (yield self._token_call())
        token = _token(reply)
        self._token, self._token_until_ms = token.access_token, began + token.expires_in * 1000

    def _token_call(self) -> Call:
        who = self._identity
        proof = tokens.assertion(
            who.key, who.node, tokens.audience(who.hub), now_ms=self._hub_time_ms(), jti=self._new_id())
        return Call("POST", TOKEN, {"content-type": tokens.FORM}, tokens.to_form(proof))

    def _now_ms(self) -> int:
        """Time to measure with: it does not jump when somebody sets the clock."""
        return self._clock.read().mono_ms

    def _learn_time(self, time_ms: int) -> None:
        self._hub_ahead_ms = time_ms - self._now_ms()

    def _hub_time_ms(self) -> int:
        """What the hub's clock says now; the box's own wall clock until it has heard from the hub."""
        reading = self._clock.read()
        return reading.wall_ms if self._hub_ahead_ms is None else reading.mono_ms + self._hub_ahead_ms


class _Source:
    """A sealed blob as the tus client reads it."""

    def __init__(self, blobs: Blobs, blob: Outgoing) -> None:
        self._blobs = blobs
        self._blob_id = blob.blob_id
        self.size = blob.size

    def read(self, offset: int, size: int) -> bytes:
        return self._blobs.read(self._blob_id, offset, size)


def _is_about_the_blob(error: QurbaniError) -> bool:
    """Whether the next blob may fare better. Bytes that are not what their name says are sent once a run."""
    return error.code == "checksum_mismatch" or not (error.retry or error.kind.status in {401, 403})


def _check(at: Position, answer: Exchanged) -> None:
    if answer.version != VERSION:
        raise QurbaniError("bad_version", f"the hub answers in version {answer.version}")
    if answer.acked > at.head:
        raise QurbaniError("fork", f"the hub holds {answer.acked} ops of this box, which has {at.head}")
    feed.check(at.cursor, answer.feed, answer.cursor)
    if answer.more and answer.cursor == at.cursor:
        raise QurbaniError("bad_answer", "the site feed has more, but does not move on")


def _good(reply: Reply) -> Reply:
    if error := refusal(reply):
        raise error
    return reply


def _message(reply: Reply, kind: type[M]) -> M:
    if _header(reply, "content-type").partition(";")[0] != MEDIA_TYPE:
        raise QurbaniError("not_the_hub", "the answer is not in the protocol's media type")
    return from_wire(reply.body, kind)


def _token(reply: Reply) -> tokens.Token:
    try:
        return msgspec.json.decode(_good(reply).body, type=tokens.Token)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise QurbaniError("not_the_hub", f"the answer is not a token: {error}") from error


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _header(reply: Reply, name: str) -> str:
    value = _good(reply).headers.get(name)
    if value is None:
        raise QurbaniError("not_the_hub", f"the answer has no {name}")
    return value
