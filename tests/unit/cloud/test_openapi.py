"""The document of the interface tells all of every route."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from litestar import Litestar

from cloud.platform.access import ANYONE
from cloud.platform.openapi import PROOFS, document, operations
from shared.errors import TABLE

Json = dict[str, Any]


@pytest.fixture(scope="module")
def told(application: Litestar) -> Json:
    return document(application)


def test_every_operation_has_words_a_tag_a_name_of_its_own_and_its_proof(application: Litestar, told: Json) -> None:
    names = set()
    for path, method, handler in operations(application):
        operation = told["paths"][path][method.lower()]
        assert operation["summary"], f"{method} {path} needs a docstring"
        assert operation["tags"] == [operation["operationId"].split(".")[0]]
        names.add((operation["operationId"], path))
        assert bool(operation["security"]) == (ANYONE not in handler.opt["roles"])
        assert {proof for one in operation["security"] for proof in one} <= PROOFS.keys()
    assert len(names) == len(list(operations(application)))
    assert {tag["name"] for tag in told["tags"]} >= {"donors", "executors", "health"}


def test_every_example_is_valid(told: Json) -> None:
    tried = 0
    for path, item in told["paths"].items():
        for method, operation in _operations(item):
            examples = [(given["schema"], given["example"]) for given in operation.get("parameters", [])]
            for content in (operation.get("requestBody", {}), *operation["responses"].values()):
                for media in content.get("content", {}).values():
                    examples += [(media["schema"], media["example"])] if "example" in media else []
                    examples += [(media["schema"], one["value"]) for one in media.get("examples", {}).values()]
                    assert "example" in media or media["examples"], (path, method)
            for schema, example in examples:
                _check({**schema, "components": told["components"]}, example)
                tried += 1
    assert tried > 300


def test_every_problem_is_of_the_table(told: Json) -> None:
    for item in told["paths"].values():
        for _, operation in _operations(item):
            assert {"default"} <= operation["responses"].keys()
            for status, answer in operation["responses"].items():
                for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {}):
                    assert status in ("default", str(TABLE[code].status))


def _operations(item: Json) -> list[tuple[str, Json]]:
    return [(method, operation) for method, operation in item.items() if isinstance(operation, dict)]


def _check(schema: Json, example: Any) -> None:
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(example)
