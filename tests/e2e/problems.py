"""What every refused request has in common: one clear problem of ours, from a worker that lives on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.e2e.server import Server

JSON_TYPE = "application/json"
RAW_TYPE = "application/octet-stream"
FORM = "multipart/form-data; boundary=x"
NET, NET_V1 = "/predictions/simple_net", "/v1/models/simple_net:predict"
NET_V2 = "/v2/models/simple_net/infer"
DIGITS, DIGITS_V2 = "/predictions/digits", "/v2/models/digits/infer"
CANCER = "/predictions/breast_cancer"


def every_pid(server: Server) -> dict[str, list[int]]:
    return {f"{m['name']}-{m['version']}": m["workers"]["pids"] for m in server.status()["models"]}


@pytest.fixture(scope="module", autouse=True)
def same_workers(server: Server) -> Iterator[None]:
    """After all of this every worker is the process that it was, and ready."""
    before = every_pid(server)
    yield
    assert every_pid(server) == before
    assert server.reader.get("/ready").json() == {"ready": True, "missing": []}


def assert_problem(answer: httpx.Response, status: int, slug: str, said: str = "") -> dict[str, Any]:
    """One clear problem: its status, its type, what was wrong, and which version says so."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-model-version"] == "1.0"
    assert len(answer.headers["x-model-digest"]) == 64
    problem = answer.json()
    assert problem["type"] == f"urn:statehouse:problem:{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert said in problem["detail"]
    assert len(problem["detail"]) < 2000
    return problem


def refuse(
    server: Server, path: str, body: bytes, status: int, slug: str, said: str = "", **headers: str
) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return assert_problem(server.client.post(path, content=body, headers=named), status, slug, said)
