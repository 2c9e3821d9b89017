"""Requests that a real server takes, and what it answers, are as its own description says."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from tests.e2e.server import Server

from statehouse.handlers.golden import read_golden

Json = dict[str, Any]
MODELS = ("digits", "breast_cancer", "diabetes", "simple_net", "convnet")
JSON_TYPE, PROBLEM_TYPE = "application/json", "application/problem+json"


class Described:
    """An OpenAPI document, by which bodies are judged."""

    def __init__(self, document: Json) -> None:
        self.document = document
        resource = Resource(contents=document, specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("urn:document", resource)

    def problems(self, body: Any, *place: str) -> list[str]:
        """What is wrong with ``body`` by the schema at ``place``; references on the way are followed."""
        pointer: list[str] = []
        found: Any = self.document
        for step in place:
            found = found[step]
            pointer.append(step.replace("~", "~0").replace("/", "~1"))
            if step != "schema" and "$ref" in found:
                pointer = found["$ref"].removeprefix("#/").split("/")
                found = self._at(pointer)
        schema = {"$ref": f"urn:document#/{'/'.join(pointer)}"}
        validator = Draft202012Validator(schema, registry=self._registry)
        return [error.message[:300] for error in validator.iter_errors(body)]

    def _at(self, pointer: list[str]) -> Any:
        found: Any = self.document
        for step in pointer:
            found = found[step]
        return found

    def request_problems(self, path: str, body: Any) -> list[str]:
        return self.problems(body, "paths", path, "post", "requestBody", "content", JSON_TYPE, "schema")

    def answer_problems(self, path: str, status: int, kind: str, body: Any) -> list[str]:
        return self.problems(body, "paths", path, "post", "responses", str(status), "content", kind, "schema")


@pytest.fixture(scope="module")
def described(server: Server) -> Described:
    document = server.reader.get("/openapi.json").json()
    validate(document)
    return Described(document)


def row_of(server: Server, name: str) -> Any:
    """The first golden example's row, as JSON has it."""
    example = read_golden(server.store / f"{name}-1.0" / "golden.json").examples[0]
    if example.content_type != JSON_TYPE:
        return {"b64": base64.b64encode(example.body).decode()}
    return json.loads(example.body)["inputs"]


def requests(server: Server, name: str) -> Iterator[tuple[str, Json]]:
    row = row_of(server, name)
    several = {"instances": [row, row]}
    for path in (f"/predictions/{name}", f"/predictions/{name}/1.0"):
        yield path, {"inputs": row}
        yield path, several
    yield f"/v1/models/{name}:predict", several
    for path in (f"/v2/models/{name}/infer", f"/v2/models/{name}/versions/1.0/infer"):
        yield path, {"inputs": tensors(server, name, row), "id": "seven"}


def tensors(server: Server, name: str, row: Any) -> list[Json]:
    inputs = server.client.get(f"/v2/models/{name}").json()["inputs"]
    if inputs[0]["name"] == "image":
        values: list[Any] = [[row["b64"]]]
    elif isinstance(row, dict):
        values = [[row[each["name"]]] for each in inputs]
    else:
        values = [[row]]
    return [
        {"name": each["name"], "datatype": each["datatype"], "shape": [1, *each["shape"][1:]], "data": data}
        for each, data in zip(inputs, values, strict=True)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_what_is_taken_and_answered_is_as_described(server: Server, described: Described, name: str) -> None:
    for path, body in requests(server, name):
        assert described.request_problems(path, body) == [], path
        answer = server.client.post(path, json=body)
        assert answer.status_code == 200, f"{path}: {answer.text[:300]}"
        assert described.answer_problems(path, 200, JSON_TYPE, answer.json()) == [], path


@pytest.mark.parametrize("name", MODELS)
def test_what_is_refused_is_not_as_described_and_the_refusal_is(
    server: Server, described: Described, name: str
) -> None:
    path = f"/predictions/{name}"
    for body in ({"inputs": {"nope": 1}}, {"instances": [3.5]}, {"input": 1}, [1]):
        assert described.request_problems(path, body), body
        answer = server.client.post(path, json=body)
        assert answer.status_code in (400, 422)
        kind = answer.headers["content-type"]
        assert described.answer_problems(path, answer.status_code, kind, answer.json()) == []


def test_a_version_that_is_not_there_is_told_as_described(server: Server, described: Described) -> None:
    answer = server.client.post("/predictions/digits/9.9", content=b"{}")
    assert described.answer_problems("/predictions/digits", 404, JSON_TYPE, answer.json()) == []


def test_the_headers_are_those_described(server: Server, described: Described) -> None:
    named = set(described.document["components"]["headers"])
    answer = server.client.post(
        "/predictions/simple_net",
        json={"inputs": row_of(server, "simple_net")},
        headers={"x-statehouse-timing": "yes"},
    )
    assert {name.lower() for name in named} <= set(answer.headers)


def test_every_version_that_serves_is_described(server: Server, described: Described) -> None:
    for model in server.reader.get("/models").json()["models"]:
        path = f"/predictions/{model['name']}/{model['version']}"
        assert path in described.document["paths"]
        assert model["name"] in [tag["name"] for tag in described.document["tags"]]
