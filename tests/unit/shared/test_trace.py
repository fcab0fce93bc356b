"""Which trace something has, and what is none."""

from __future__ import annotations

from uuid import UUID

import pytest
from structlog.contextvars import get_contextvars

from shared import events, trace
from shared.clock import SystemClock
from shared.ids import new_id

ID = UUID("019e610c-3f40-4000-8000-00000000abcd")


def test_what_names_a_sacrifice_has_its_trace() -> None:
    assert trace.told_by(trace.header(trace.of(ID))) == ID.hex
    assert trace.of_record("sacrifice", ID, {}) == ID.hex
    assert trace.of_record("video", new_id(), {"sacrifice_id": str(ID)}) == ID.hex
    assert trace.of_record("animal", ID, {"tag": "A1"}) == ""


@pytest.mark.parametrize("header", [
    "", "00", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01", f"00-{'1' * 31}x-{'1' * 16}-01",
    f"00-{'A' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'1' * 16}-01\n", f"01-{'1' * 32}-{'1' * 16}-01-more",
])  # fmt: skip
def test_what_is_no_traceparent_begins_nothing(header: str) -> None:
    assert trace.told_by(header) == ""


def test_an_event_goes_on_with_the_trace_of_its_sacrifice_or_of_who_tells() -> None:
    now = SystemClock().now()

    def told(data: events.VideoArrived | events.NotificationWanted, topic: str) -> str:
        made = events.make(topic, data, id=new_id(), subject="x", source="urn:x", now=now)
        return events.trace_of(events.decode(events.encode(made))[0])

    arrived = events.VideoArrived(new_id(), ID, new_id(), "b", "ab" * 32)
    wanted = events.NotificationWanted(new_id(), new_id(), None, "invited", {})
    assert told(wanted, "notification.send") == ""
    with trace.under("f" * 32):
        assert told(arrived, "video.initial-upload") == ID.hex
        assert told(wanted, "notification.send") == "f" * 32
    assert "trace" not in get_contextvars()
