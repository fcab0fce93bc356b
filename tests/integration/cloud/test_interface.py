"""Whatever is sent, the hub answers as its document says, and never breaks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from demo.servers import Servers
from tests.cloud_hub import CloudHub, Person, copied_room, hub_settings, running

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

HOSTILE: tuple[Any, ...] = ("\0", "x" * 70_000, -(2**63), 2**80, None, [[]])
"""What breaks those who trust what they are sent: no column of PostgreSQL holds the first."""


@pytest.fixture(scope="module")
def lab(servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    """A hub for requests that would disturb other tests."""
    with copied_room(servers, template) as room, running(hub_settings(room, tmp_path_factory.mktemp("lab"))) as hub:
        yield hub


class People:
    """Somebody for every operation of the document, and what it is asked about."""

    def __init__(self, hub: CloudHub) -> None:
        self.document = hub.admin.get("/api-docs/openapi.json")
        self.donor, self.admin = hub.donor(), hub.staff("admin")
        site = hub.site(A1="sheep")
        self.there = {"site_id": site, "order_id": hub.paid_order(self.donor, "sheep", "Ahmed")["id"]}

    def who(self, operation: dict[str, Any]) -> Person | None:
        """None where it is for boxes, whose protocol has tests of its own."""
        roles = operation["description"].rpartition("For ")[2]
        if "boxes" in roles:
            return None
        return self.admin if "admin" in roles or "everybody" in roles else self.donor

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any], Person]]:
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if isinstance(operation, dict) and (who := self.who(operation)):
                    yield method, path, operation, who


@pytest.fixture(scope="module")
def people(lab: CloudHub) -> People:
    return People(lab)


@pytest.mark.parametrize("each", [2, pytest.param(len(HOSTILE), marks=pytest.mark.slow)])
def test_no_field_can_be_given_what_breaks_the_hub_and_none_is_taken_that_is_not_there(
    people: People, each: int
) -> None:
    """``each`` field gets so many of the hostile values, taken in turn."""
    tried, hostile = 0, cycle(HOSTILE)

    def ask(who: Person, method: str, url: str, **sent: Any) -> httpx.Response:
        nonlocal tried
        tried += 1
        answer = who.http.request(method, url, **sent)
        assert answer.status_code < 500, (method, url, str(sent)[:200], answer.text)
        return answer

    for method, path, operation, who in people.operations():
        fields = {given["name"]: given["example"] for given in operation.get("parameters", []) if given["in"] == "path"}
        url = path.format(**{name: people.there.get(name, example) for name, example in fields.items()})
        for given_ in operation.get("parameters", []):
            if given_["in"] == "query":
                for value in ("\0", "x" * 5000, "-1"):
                    ask(who, method, url, params={given_["name"]: value})
        if "requestBody" not in operation:
            continue
        body = operation["requestBody"]["content"]["application/json"]["example"]
        for field in body:
            for value in islice(hostile, each):
                ask(who, method, url, json={**body, field: value})
        for raw in (b"", b"[" * 100_000, b'{"\xff', b"null"):
            assert ask(who, method, url, content=raw, headers={"content-type": "application/json"}).status_code == 400
        for more in ({"role": "admin"}, {"verified": True}, {"id": "0"}):
            if more.keys() & body.keys():
                continue  # here it is one that is known
            assert ask(who, method, url, json={**body, **more}).status_code == 400, "an unknown field was taken"
    assert tried > 200


@pytest.mark.parametrize("examples", [2, pytest.param(400, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_every_answer_is_one_of_those_that_the_document_tells(lab: CloudHub, people: People, examples: int) -> None:
    asked = 0

    def ask(case: Case) -> None:
        nonlocal asked
        asked += 1
        case.path_parameters |= {name: id for name, id in people.there.items() if name in case.path_parameters}
        who = people.who(case.operation.definition.raw)
        assert who
        answer = case.call(base_url=lab.url, headers=dict(who.http.headers))
        case.validate_response(answer, checks=CHECKS)

    chosen = settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    for operation in (found.ok() for found in schemathesis.openapi.from_dict(people.document).get_all_operations()):
        if people.who(operation.definition.raw):
            modes = list(GenerationMode) if operation.body or operation.query else [GenerationMode.POSITIVE]
            for mode in modes:
                chosen(given(operation.as_strategy(generation_mode=mode))(ask))()
    assert asked >= 30 * examples
