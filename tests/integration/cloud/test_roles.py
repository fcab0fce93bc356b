"""Every route, tried as everybody, about what is theirs, somebody else's and nobody's.

Made from the document of the interface, so a new route is tried as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs
import msgspec
import pytest

from cloud.platform.access import PROGRAMS, ROLES
from demo.servers import Servers
from sync import tokens
from sync.calls import Call
from sync.messages import TOKEN
from tests.cloud_hub import Box, CloudHub, copied_room, hub_settings, running

Json = dict[str, Any]
Ask = Callable[..., httpx.Response]

OWN = ("donor", "driver", "buyer")
"""Who sees what is theirs; to them somebody else's is as if it were not there."""
SAFE = ("get", "head", "options")
ID = {"type": "string", "format": "uuid"}


class Scene:
    """Two donors with an order each at a site of its own, and one of every role besides."""

    def __init__(self, hub: CloudHub) -> None:
        self.hub = hub
        self.document: Json = hub.admin.get("/api-docs/openapi.json")
        _close(self.document["components"]["schemas"])
        self.box, other = self._box(), self._box()
        mine, foreign = hub.donor(), hub.donor()
        order = {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]}
        ids = [who.post("/api/v1/orders", order)["id"] for who in (mine, foreign)]
        self.own = {"order_id": ids[0], "site_id": str(self.box.site), "node_id": str(self.box.identity.node)}
        self.foreign = {"order_id": ids[1], "site_id": str(other.site), "node_id": str(other.identity.node)}
        self.asking: dict[str, Ask] = {role: hub.staff(role).http.request for role in ROLES if role != "donor"}
        self.asking |= {role: hub.program(role).http.request for role in PROGRAMS}
        self.asking |= {"donor": mine.http.request, "stranger": hub.stranger.http.request, "node": self._as_box()}

    def _box(self) -> Box:
        return self.hub.box(self.hub.site(A1="sheep"))

    def _as_box(self) -> Ask:
        """Ask with the box's token, and a proof of its key for each call."""
        form = tokens.to_form(self.box.assertion())
        reply = self.hub.send(Call("POST", TOKEN, {"content-type": tokens.FORM}, form))
        token = msgspec.json.decode(reply.body, type=tokens.Token).access_token

        def ask(method: str, url: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
            now_ms = self.hub.platform.clock.read().wall_ms
            proof = tokens.possession(self.box.identity.key, method, url, token, now_ms=now_ms)
            mine = {"authorization": f"Bearer {token}", tokens.PROOF: proof, **(headers or {})}
            return self.hub.stranger.http.request(method, url, headers=mine, **more)

        return ask

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if isinstance(operation, dict) and method != "options":
                    yield method, path, operation

    def ask(self, role: str, method: str, path: str, operation: Json, ids: dict[str, str]) -> httpx.Response:
        """Ask for ``path`` about ``ids``; of what they do not name, about something that is not there."""
        named = {given["name"]: given for given in operation.get("parameters", []) if given["in"] == "path"}
        about = {name: ids.get(name) or _nobody(given) for name, given in named.items()}
        query = {given["name"]: given["example"] for given in operation.get("parameters", [])
                 if given["in"] == "query" and given.get("required")}
        sent: Json = {"params": query} if query else {}
        if body := operation.get("requestBody"):
            sent["json"] = body["content"]["application/json"]["example"]
        return self.asking[role](method.upper(), path.format(**about), **sent)


def _nobody(given: Json) -> str:
    return str(uuid4()) if given["schema"].get("format") == "uuid" else given["schema"].get("enum", ["none"])[0]


def _close(schemas: Json) -> None:
    """Let no object have a field that the document does not name."""
    for schema in schemas.values():
        if "properties" in schema:
            schema["additionalProperties"] = False


@pytest.fixture(scope="module")
def scene(servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("roles")
    with copied_room(servers, template) as room, running(hub_settings(room, folder)) as hub:
        yield Scene(hub)


def roles_of(operation: Json) -> list[str]:
    """Who may, by the document."""
    told = operation["description"].rpartition("For ")[2].rstrip(".")
    return {"everybody": [*ROLES, "stranger"], "boxes": ["node"]}.get(told) or told.split(", ")


def test_whoever_may_not_is_told_the_same_of_everything(scene: Scene) -> None:
    tried = 0
    for method, path, operation in scene.operations():
        roles = roles_of(operation)
        for role in (*ROLES, *PROGRAMS, "stranger", "node"):
            if role in roles or roles == [*ROLES, "stranger"]:
                continue
            expected = 401 if role == "stranger" else 403
            subjects = (scene.own, {}) if role in ("donor", "stranger") and "{" in path else ({},)
            answers = [scene.ask(role, method, path, operation, ids) for ids in subjects]
            assert {answer.status_code for answer in answers} == {expected}, (role, method, path, answers[0].text)
            assert len({answer.text for answer in answers}) == 1
            tried += len(answers)
    assert tried > 250


def test_somebody_elses_is_as_if_it_were_not_there(scene: Scene) -> None:
    tried = 0
    for method, path, operation in scene.operations():
        own = [role for role in roles_of(operation) if role in OWN]
        if not own or "{" not in path or "stranger" in roles_of(operation):
            continue
        for role in own:
            foreign, missing = (scene.ask(role, method, path, operation, ids) for ids in (scene.foreign, {}))
            assert foreign.status_code == missing.status_code == 404, (role, method, path, foreign.text)
            assert foreign.content == missing.content
            assert _about(foreign) == _about(missing)
            tried += 1
    assert tried >= 4


def test_what_is_read_has_the_fields_that_the_document_names_and_no_other(scene: Scene) -> None:
    tried, components = 0, {"schemas": scene.document["components"]["schemas"]}
    for method, path, operation in scene.operations():
        for role in roles_of(operation) if method == "get" and roles_of(operation) != ["node"] else ():
            answer = scene.ask(role, method, path, operation, scene.own)
            told = operation["responses"].get(str(answer.status_code), operation["responses"]["default"])
            kind = answer.headers.get("content-type", "").partition(";")[0]
            assert answer.status_code < 500 or path == "/health/ready", (role, path, answer.text)
            assert kind in [name.partition(";")[0] for name in told["content"]], (role, path, answer.status_code, kind)
            if kind == "application/json":
                schema = {**told["content"][kind]["schema"], "components": components}
                jsonschema_rs.validator_for(schema).validate(answer.json())
                tried += 1
    assert tried > 30


def test_staff_are_told_what_is_not_there(scene: Scene) -> None:
    wrong = []
    for method, path, operation in scene.operations():
        named = [given for given in operation.get("parameters", []) if given["in"] == "path"]
        if named and all(given["schema"].get("format") == "uuid" for given in named):
            for role in set(roles_of(operation)) & {"admin", "auditor"}:
                answer = scene.ask(role, method, path, operation, {})
                if answer.status_code != 404:
                    wrong.append((role, method, path, answer.text))
    assert wrong == []


def _about(answer: httpx.Response) -> dict[str, str]:
    """The headers, without those that change with the moment."""
    return {name: value for name, value in answer.headers.items() if name != "date"}
