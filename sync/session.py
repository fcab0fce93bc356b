"""The box's side of the protocol, without its network: a conversation that yields calls and takes replies.

Records come before videos: a session first exchanges everything that either side lacks, and while a video
travels, it exchanges again between two pieces as soon as there is news. What the hub acknowledges is in the
store before the next call, so a session can be cut anywhere and is simply run again.

After each exchange that brought news, and now and then without, box and hub compare what they hold; what differs
is found and mended (:mod:`sync.digest`).
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
from sync import digest, enrolment, feed, tokens
from sync.calls import Call, Reply, Steps, refusal
from sync.messages import (
    BLOBS,
    DIGEST,
    ENROL,
    EXCHANGE,
    MEDIA_TYPE,
    RENEW,
    TOKEN,
    Ask,
    Change,
    Compare,
    Compared,
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
CHECK_MS = 600_000
"""The hub's digest is asked for at least this often; with news it comes unasked."""
PROBES = 16
"""Ops that are compared in one message when the last common one is looked for."""


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
        self._checked_ms: int | None = None
        self._differs = False
        self._ops = Pace(low=250, high=MAX_BATCH_OPS, aim_s=CALL_S)
        self._bytes = Pace(low=8 << 10, aim_s=CALL_S)
        self._uploads: dict[str, tuple[Uploading, TusRequest]] = {}

    def run(self) -> Steps[dict[str, QurbaniError]]:
        """Exchange all records, then send all blobs. Returns the blobs that the hub refused, and why, by id.

        Raises what stopped it: an error of the hub, or ``not_the_hub``. See sync.backoff for when to try again.
        """
        yield from self.exchange()
        refused: dict[str, QurbaniError] = {}
        has_sent = False
        while blob := self._most_wanted(refused):
            try:
                has_sent |= yield from self._send_piece(blob)
            except QurbaniError as error:
                if not _is_about_the_blob(error):
                    raise
                refused[blob.blob_id] = error
            yield from self._keep_up()
        if has_sent:  # their receipts are in the feed
            yield from self.exchange()
        return refused

    # Records

    def exchange(self) -> Steps[None]:
        """Hand over all ops, read the site feed to its end, and mend what differs from the hub's.

        Where another box goes by the same name, or this one's disk was put back, it takes a name of its own and
        goes on. Raises the hub's error, and ``revoked`` when everything has been handed over and the hub wants
        no more of it.
        """
        more = True
        while more or self._is_ahead():
            try:
                more = yield from self._round_trip()
            except QurbaniError as error:
                if error.code != "fork":
                    raise
                yield from self._renew(error)
        self._exchanged_ms = self._now_ms()
        if self._differs:
            yield from self._reconcile()

    def _round_trip(self) -> Steps[bool]:
        """One exchange; whether there is more to read."""
        at = self._store.position()
        batch = self._store.batch(at.acked, self._ops.chunk, MAX_BATCH_BYTES) if at.acked < at.head else None
        check = self._checked_ms is None or self._now_ms() - self._checked_ms >= CHECK_MS
        body = to_wire(Exchange(at.node, at.cursor, batch, at.mark, check))
        call = Call("POST", EXCHANGE, {"content-type": MEDIA_TYPE}, body)
        reply = yield from self._paced(call, self._ops, len(batch.lines) if batch else 0)
        error = refusal(reply)
        if error and error.code == "gap" and error.facts.get("acked") in range(at.acked):
            # The hub has lost what it had acknowledged, as after a restored backup. The box has it still.
            self._was_put_back()
            self._store.acknowledge(error.facts["acked"], [])
            return True
        answer = _message(reply, Exchanged)
        self._check(at, answer)
        if batch and answer.acked < batch.first:
            raise QurbaniError("unavailable", "the hub took none of the ops")
        self._take_in(at, answer)
        if answer.revoked and not self._is_ahead():
            raise QurbaniError("revoked")
        return answer.more

    def _check(self, at: Position, answer: Exchanged) -> None:
        if answer.version != VERSION:
            raise QurbaniError("bad_version", f"the hub answers in version {answer.version}")
        if answer.acked > at.head:
            raise QurbaniError("fork", f"the hub holds {answer.acked} ops of this box, which has {at.head}")
        if answer.hash and answer.hash != self._store.hash_at(answer.acked):
            raise QurbaniError("fork", f"the hub holds another op {answer.acked} of this box")
        since = 0 if answer.again else at.cursor
        feed.check(since, answer.feed, answer.cursor)
        if answer.more and answer.cursor == since:
            raise QurbaniError("bad_answer", "the site feed has more, but does not move on")

    def _take_in(self, at: Position, answer: Exchanged) -> None:
        self._learn_time(answer.time_ms)
        self._store.heard(answer.time_ms)
        if answer.acked < at.acked:
            self._was_put_back()
        if answer.acked != at.acked or answer.parked or answer.digest:
            self._store.acknowledge(answer.acked, answer.parked, whole=bool(answer.digest))
        page = feed.Page(answer.feed, answer.cursor, answer.more, answer.mark, answer.again)
        if (page.cursor, page.mark) != (at.cursor, at.mark) or page.again or answer.digest:
            self._store.apply(page)
        if answer.digest and not answer.more:
            self._checked_ms = self._now_ms()
            self._differs = answer.digest != digest.Tree(self._store.records()).hash()

    def _was_put_back(self) -> None:
        """The hub has forgotten something: compare, and offer it again what it gave no receipt for, at once."""
        self._checked_ms = None

    def _is_ahead(self) -> bool:
        at = self._store.position()
        return at.head > at.acked

    def _keep_up(self) -> Steps[None]:
        if self._is_ahead() or self._now_ms() - self._exchanged_ms >= POLL_MS:
            yield from self.exchange()

    # Differences

    def _reconcile(self) -> Steps[None]:
        """Find the records that differ from the hub's, and take the hub's. The next exchange shows if that was all."""
        self._differs, self._checked_ms = False, None
        at, tree = self._store.position(), digest.Tree(self._store.records())
        asks, repairs = [Ask("", tree.hash())], list[Change]()
        while asks:
            about = asks[: digest.MAX_ASKS]
            answer = yield from self._compare(Compare(at.node, at.cursor, at.mark, about))
            if answer.moved:
                return
            if not 0 < answer.answered <= len(about):
                raise QurbaniError("bad_answer", "the hub compares nothing")
            further, found = digest.narrow(tree, answer.buckets)
            asks = asks[answer.answered:] + further
            repairs += found
        if repairs:
            self._store.repair(repairs)

    def _renew(self, fork: QurbaniError) -> Steps[None]:
        """Take a name of one's own; what the hub does not have under the old one goes on under it.

        Raises ``fork`` where the hub knows of none.
        """
        at = self._store.position()
        common = yield from self._common(at)
        heir = self._store.heir()
        message = enrolment.renew(at.node, common, self._store.hash_at(common), heir.sign, heir.seal)
        reply = yield from self._call(Call("POST", RENEW, {"content-type": MEDIA_TYPE}, to_wire(message)))
        refused = refusal(reply)
        if refused and refused.code == "conflict":
            raise fork
        answer = _message(reply, Enrolled)
        self._store.take_over(answer.node, common)
        self._identity = Identity(answer.node, heir.sign, self._identity.hub)
        self._token, self._checked_ms = "", None
        self._uploads.clear()

    def _common(self, at: Position) -> Steps[int]:
        """The last op that box and hub have in common. As each hash covers the ops before, a search finds it."""
        low, high = 0, at.head
        while low < high:
            step = -(-(high - low) // PROBES)
            seqs = [*range(low + step, high, step), high]
            theirs = (yield from self._compare(Compare(at.node, seqs=seqs))).hashes
            if len(theirs) != len(seqs):
                raise QurbaniError("bad_answer", "the hub does not answer for each op")
            same = [seq for seq, found in zip(seqs, theirs, strict=True) if found == self._store.hash_at(seq)]
            low = max(same, default=low)
            high = min((seq for seq in seqs if seq > low), default=low + 1) - 1
        return low

    def _compare(self, message: Compare) -> Steps[Compared]:
        reply = yield from self._call(Call("POST", DIGEST, {"content-type": MEDIA_TYPE}, to_wire(message)))
        return _message(reply, Compared)

    # Blobs

    def _most_wanted(self, refused: Container[str]) -> Outgoing | None:
        return next((blob for blob in self._store.outgoing() if blob.blob_id not in refused), None)

    def _send_piece(self, blob: Outgoing) -> Steps[bool]:
        """One call of the blob's upload; the first one creates it or finds it where it stands. Whether it is there."""
        # Taken out while the call is on its way: without a good answer, the hub is asked where it stands.
        known = self._uploads.pop(blob.blob_id, None)
        uploading, request = known or self._begin(blob)
        call = Call(request.method, request.url, _lower(request.headers), bytes(request.body))
        reply = _good((yield from self._paced(call, self._bytes, len(call.body))))
        try:
            following = uploading.send(TusAnswer(reply.status, reply.headers, reply.body))
        except StopIteration:
            self._store.sent(blob.blob_id)
            return True
        self._uploads[blob.blob_id] = uploading, following
        return False

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
            if not self._is_late(refusal(reply)):
                self._token = ""
                yield from self._renew_token()
            reply = yield self._signed(call)
        return reply

    def _signed(self, call: Call) -> Call:
        proof = tokens.possession(
            self._identity.key, call.method, call.path, self._token, now_ms=self._hub_time_ms())
        bearer = {"authorization": f"Bearer {self._token}", tokens.PROOF: proof}
        return msgspec.structs.replace(call, headers=call.headers | bearer)

    def _renew_token(self) -> Steps[None]:
        if self._token and self._now_ms() < self._token_until_ms - TOKEN_MARGIN_MS:
            return
        began, reply = self._now_ms(), (yield self._token_call())
        if self._is_late(refusal(reply)):
            began, reply = self._now_ms(), (yield self._token_call())
        token = _token(reply)
        self._token, self._token_until_ms = token.access_token, began + token.expires_in * 1000

    def _is_late(self, error: QurbaniError | None) -> bool:
        """Whether only the time was wrong; from then on it is right."""
        if error is None or error.code != "clock_skew" or not isinstance(error.facts.get("time_ms"), int):
            return False
        self._learn_time(error.facts["time_ms"])
        return True

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
