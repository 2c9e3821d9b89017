"""Requests made from a version's own schema, whole and damaged, from one seed: each gets the right 4xx or an answer.

`make fuzz` sends 10,000; the tests a few hundred.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

from models import TensorTask, build_model, save_checkpoint
from scripts.publish import publish
from scripts.store import LocalStore
from tests.faults.conftest import FaultyServer

REQUESTS = int(os.environ.get("STATEHOUSE_FUZZ_REQUESTS", "300"))
PATHS = ("/predictions/net", "/predictions/net/1.0", "/v1/models/net:predict", "/v2/models/net/infer")
TYPES = (
    "application/json",
    "application/octet-stream",
    "text/plain",
    "image/png",
    "multipart/form-data; boundary=x",
    None,
)
SAID = ("NaN", "-Infinity", "1e999", "null", "true", '"\\ud800"', "[]", "{}", "1" * 400, '"\x00"', "-", "0x1")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def damaged(body: bytes, at: int, how: str, said: str) -> bytes:
    place = at % (len(body) + 1)
    match how:
        case "cut":
            return body[:place]
        case "flip":
            return (
                body[:place] + bytes([body[place] ^ 1 << at % 8]) + body[place + 1 :]
                if place < len(body)
                else body
            )
        case "insert":
            return body[:place] + said.encode() + body[place:]
        case "twice":
            return body[:place] + body
        case "byte":
            return body[:place] + bytes([at % 256]) + body[place:]
    return body


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    """A server of one small network: whatever is asked of it takes no time."""
    server = FaultyServer(tmp_path_factory.mktemp("fuzzed"))
    config = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
    file = server.folder / "net.pt"
    save_checkpoint(
        file, build_model("simple_net", config), architecture="simple_net", config=config, task=TensorTask()
    )
    publish(file, store=LocalStore(server.store), name="net", version="1.0")
    server.deploy("1.0", name="net")
    server.start()
    yield server
    server.kill_if_running()


@pytest.fixture(scope="module")
def schema(served: FaultyServer) -> dict[str, Any]:
    return served.reader.get("/models/net/1.0").json()["input_schema"]


def is_right(status: int, content_type: str, body: bytes) -> bool:
    document = json.loads(body)
    if status == 200:
        return not any(math.isnan(each) or math.isinf(each) for each in numbers_in(document))
    kinds = ("application/problem+json", "application/json")
    return status in (400, 404, 405, 413, 415, 422) and content_type in kinds and bool(document)


def numbers_in(document: Any) -> list[float]:
    if isinstance(document, dict):
        return [each for value in document.values() for each in numbers_in(value)]
    if isinstance(document, list):
        return [each for value in document for each in numbers_in(value)]
    return [document] if isinstance(document, float) else []


def test_every_request_gets_the_right_answer(served: FaultyServer, schema: dict[str, Any]) -> None:
    before = served.status()["pids"] | {"workers": served.model("net", "1.0")["workers"]["pids"]}
    seen: Counter[int] = Counter()
    rows = from_schema(schema)
    documents = (
        st.builds(lambda row: {"inputs": row}, rows)
        | st.builds(lambda several: {"instances": several}, st.lists(rows, max_size=4))
        | st.builds(
            lambda name, value: {name: value}, st.sampled_from(["inputs", "instances", "input", ""]), anything
        )
        | anything
    )

    @seed(20_251_125)
    @settings(
        max_examples=REQUESTS,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=[Phase.generate],
    )
    @given(
        document=documents,
        path=st.sampled_from(PATHS),
        content_type=st.sampled_from(TYPES),
        at=st.integers(0, 10_000),
        how=st.sampled_from(["", "", "cut", "flip", "insert", "twice", "byte"]),
        said=st.sampled_from(SAID),
    )
    def send(document: Any, path: str, content_type: str | None, at: int, how: str, said: str) -> None:
        body = damaged(json.dumps(document).encode("utf-8", "surrogatepass"), at, how, said)
        headers = {"content-type": content_type} if content_type else {}
        answer = served.client.post(path, content=body, headers=headers)
        seen[answer.status_code] += 1
        kind = answer.headers["content-type"].partition(";")[0]
        assert is_right(answer.status_code, kind, answer.content), (path, content_type, body, answer.text)

    send()
    after = served.status()["pids"] | {"workers": served.model("net", "1.0")["workers"]["pids"]}
    assert after == before
    assert seen.total() >= REQUESTS
    assert seen[200]
    assert seen[400]
    assert seen[422]
