"""``qurbani cloud events``: docs/events.md, from the schemas and the handlers that run."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import msgspec.inspect as types

from cloud import main
from cloud.platform.kafka import DEAD
from cloud.platform.outbox import SOURCE
from shared import events

HEAD = f"""\
# Events

*Printed by `qurbani cloud events`; a test compares.*

What the services of the hub tell each other over Kafka: [CloudEvents 1.0](https://cloudevents.io) in JSON, structured
mode, one schema a topic, checked at both ends (`shared/events.py`). The key of a message is the event's `subject`: the
donor, where all shares on an animal are one donor's, else the record that it is about. Events of one key arrive in the
order in which they were committed.

An event is a row of the outbox, committed with what it tells of; a relay sends it afterwards, and again after a crash.
Each group of consumers notes the event's `id` in the transaction of its effect, so it takes effect once. What fails for
good, after five attempts at most, is kept as a row with its reason, and a copy goes to the topic with `{DEAD}` at its
end; the page `/queues`, `POST /api/v1/queues/take-up` and `qurbani cloud redrive` bring it back.

The broker may be down, wiped or replaced. The relay keeps the last offset that each partition gave it: where that now
ends earlier, everything that some group has not taken goes again, before anything new.

Beside the groups the gateway copies each event's kind, key and donor into a Redis stream, from which every process
that serves pages tells them what to look at anew (`GET /api/v1/events`, a WebSocket). It writes nothing to the
database, so it is no group that the relay waits for.

With `QURBANI_KAFKA_PREFIX` every topic and group begins with that.
"""

_EXAMPLES: dict[type[types.Type], Any] = {
    types.UUIDType: UUID("01970f2c-8f3a-7b1e-9c55-3d2a6f0e4b11"),
    types.StrType: "...",
    types.DictType: {"...": "..."},
    types.VarTupleType: ["..."],
    types.UnionType: UUID("01970f2c-8f3a-7b1e-9c55-3d2a6f0e4b11"),
}

_NAMES: dict[type[types.Type], str] = {
    types.UUIDType: "UUID",
    types.StrType: "string",
    types.DictType: "object of strings",
    types.VarTupleType: "array of strings",
    types.UnionType: "UUID or null",
}


def page() -> str:
    """The whole page, Markdown."""
    return HEAD + "".join("\n" + "\n".join(_topic(topic, schema)) + "\n" for topic, schema in events.TOPICS.items())


def _topic(topic: str, schema: type[msgspec.Struct]) -> Iterator[str]:
    groups = sorted({handler.group for handler in main.handlers() if handler.topic == topic})
    fields = types.type_info(schema).fields  # type: ignore[attr-defined]
    yield f"## `{topic}`"
    yield ""
    yield (inspect.getdoc(schema) or "").replace("``", "`")
    yield ""
    yield f"Groups that listen: {', '.join(f'`{group}`' for group in groups)}."
    yield ""
    yield "| field of `data` | type |"
    yield "|---|---|"
    yield from (f"| `{field.name}` | {_NAMES[type(field.type)]} |" for field in fields)
    yield ""
    yield "```json"
    yield json.dumps(msgspec.to_builtins(_example(topic, fields)), indent=2)
    yield "```"


def _example(topic: str, fields: tuple[types.Field, ...]) -> events.Event:
    data = {field.name: _EXAMPLES[type(field.type)] for field in fields}
    subject = str(_EXAMPLES[types.UUIDType])
    noon = datetime(2026, 5, 27, 12, tzinfo=UTC)
    id = UUID("01970f2c-9a10-7c44-8e21-70b1f5a9c3d2")
    return events.Event(id=id, source=SOURCE, type=topic, subject=subject, time=noon, data=data)
