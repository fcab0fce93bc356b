"""Events between services: a CloudEvents 1.0 envelope around one schema per topic.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from shared import trace
from shared.errors import QurbaniError


class VideoArrived(msgspec.Struct, frozen=True):
    """The original of a video has arrived in the cloud, sealed as it came."""

    video_id: UUID
    sacrifice_id: UUID
    site_id: UUID
    blob_id: str
    sha256: str


class VideoPreprocessed(msgspec.Struct, frozen=True):
    """The compressed copy and the poster of a video are stored."""

    video_id: UUID
    sacrifice_id: UUID
    compressed: str
    poster: str


class VideoProcessed(msgspec.Struct, frozen=True):
    """The checks of a video have ended: ``outcome`` is ``authentic``, ``review`` or ``rejected``; ``earlier`` are the
    videos of other sacrifices that show the same act."""

    video_id: UUID
    sacrifice_id: UUID
    outcome: str
    reasons: tuple[str, ...]
    earlier: tuple[UUID, ...] = ()


class VideoReviewed(msgspec.Struct, frozen=True):
    """People have decided about a video that the checks left open: ``approved``, ``rejected``, or ``remedy``: the site
    is to do again what ``note`` says."""

    video_id: UUID
    sacrifice_id: UUID
    decision: str
    note: str = ""


class OrderChanged(msgspec.Struct, frozen=True):
    """What a donor sees of an order is no longer what it was: its ``state``, or what is shown beside it."""

    order_id: UUID
    donor_id: UUID
    state: str


class NotificationWanted(msgspec.Struct, frozen=True):
    """Someone must be told. ``template`` names the message; ``facts`` fills it in; no personal data here.

    ``donor_id`` is the account to write to. What is about the account itself has no ``order_id``.
    """

    notification_id: UUID
    donor_id: UUID
    order_id: UUID | None
    template: str
    facts: dict[str, str]


TOPICS: dict[str, type[msgspec.Struct]] = {
    "video.initial-upload": VideoArrived,
    "video.uploaded-preprocessed": VideoPreprocessed,
    "video.processed-final": VideoProcessed,
    "video.reviewed": VideoReviewed,
    "notification.send": NotificationWanted,
    "order.changed": OrderChanged,
}
"""Every topic and the schema of its data; both ends check it."""


class Event(msgspec.Struct, frozen=True):
    """The envelope. ``id`` is unique and what consumers remember; ``subject`` is the partition key.

    ``traceparent`` is the extension for tracing:
    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
    """

    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any]
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


def make(topic: str, data: msgspec.Struct, *, id: UUID, subject: str, source: str, now: datetime) -> Event:
    """An event for ``topic``, under the trace of the sacrifice that it is about, or else of what is done here.

    Raises ``TypeError`` when ``data`` is not of that topic's schema.
    """
    if not isinstance(data, TOPICS[topic]):
        raise TypeError(f"{topic} carries {TOPICS[topic].__name__}, not {type(data).__name__}")
    sacrifice = getattr(data, "sacrifice_id", None)
    found = trace.of(sacrifice) if sacrifice else trace.current()
    return Event(
        id=id, source=source, type=topic, subject=subject, time=now, data=msgspec.to_builtins(data),
        traceparent=trace.header(found) if found else msgspec.UNSET,
    )  # fmt: skip


def trace_of(event: Event) -> str:
    """The trace that an event goes on with; empty where it has none."""
    return trace.told_by(event.traceparent or "")


def encode(event: Event) -> bytes:
    return msgspec.json.encode(event)


def decode(raw: bytes) -> tuple[Event, Any]:
    """The envelope and its typed data. Raises ``bad_event`` when either does not fit its schema."""
    try:
        event = msgspec.json.decode(raw, type=Event)
        return event, msgspec.convert(event.data, TOPICS[event.type])
    except (msgspec.MsgspecError, KeyError) as error:
        raise QurbaniError("bad_event", f"an event that fits no schema: {error}") from error


def id_of(raw: bytes) -> UUID | None:
    """The id of an event, whether or not its data fit; None where it is no event."""
    try:
        return msgspec.json.decode(raw, type=Event).id
    except msgspec.MsgspecError:
        return None
