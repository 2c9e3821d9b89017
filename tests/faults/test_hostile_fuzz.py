"""Requests made from a version's own schema, whole and damaged, from one seed: each gets its status or its answer.

`make fuzz` sends 10,000; the tests a few hundred.
"""

from __future__ import annotations

import itertools
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
from jsonschema import Draft202012Validator
from tests.faults.conftest import FaultyServer
from tests.support.right_status import JSON_TYPE, PREDICTIONS, V1, V2, Oracle

from statehouse.models import TensorTask, build_model, save_checkpoint
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

REQUESTS = int(os.environ.get("STATEHOUSE_FUZZ_REQUESTS", "300"))
WIDTH = 4
PATHS = ("/predictions/net", "/predictions/net/1.0", "/v1/models/net:predict", "/v2/models/net/infer")
TYPES = (
    JSON_TYPE,
    "application/octet-stream",
    "text/plain",
    "image/png",
    "multipart/form-data; boundary=x",
    None,
)
MEMBERS = ("inputs", "instances", "input", "")
# In the place of one number: what a lenient reader takes for one, or lets pass.
NOT_QUITE_NUMBERS = (
    True,
    False,
    None,
    "1",
    "",
    "NaN",
    [1],
    [],
    {},
    1e39,
    -1e39,
    10**400,
    1e-50,
    0.1,
    -0.0,
    7,
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
    config = {"input_size": WIDTH, "hidden_size": 3, "num_classes": 2}
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
def described(served: FaultyServer) -> dict[str, Any]:
    """What the version publishes of itself."""
    return served.reader.get("/models/net/1.0").json()


def form_of(path: str) -> str:
    return {"/predictions": PREDICTIONS, "/v1": V1, "/v2": V2}["/" + path.split("/")[1]]


def answered(document: Any, form: str) -> list[Any]:
    """The rows of an answer, each as its schema has it."""
    if form == V2:
        [output] = document["outputs"]
        flat, width = output["data"], output["shape"][1]
        return [{"outputs": flat[at : at + width]} for at in range(0, len(flat), width)]
    return document.get("predictions", [document])


def as_form(form: str, *rows: Any) -> Any:
    """A request of some rows."""
    if form == V2:
        return {"inputs": [{"name": "input", "datatype": "FP32", "shape": [len(rows), WIDTH], "data": rows}]}
    return {"instances": rows}


def with_another(row: list[Any], at: int, value: Any) -> list[Any]:
    """A row with another value in one place."""
    return [*row[:at], value, *row[at + 1 :]]


def test_every_request_gets_the_right_answer(served: FaultyServer, described: dict[str, Any]) -> None:
    oracle = Oracle(described["input_schema"], WIDTH)
    answer_schema = Draft202012Validator(described["output_schema"])
    before = served.status()["pids"] | {"workers": served.model("net", "1.0")["workers"]["pids"]}
    seen: Counter[tuple[str, int]] = Counter()

    def send(path: str, content_type: str | None, body: bytes) -> None:
        form = form_of(path)
        right = oracle.status(form, content_type, body)
        headers = {"content-type": content_type} if content_type else {}
        answer = served.client.post(path, content=body, headers=headers)
        assert answer.status_code == right, (path, content_type, body, answer.text)
        seen[form, right] += 1
        if right == 200:
            rows, count = answered(answer.json(), form), oracle.rows(form, content_type, body)
            assert len(rows) == (1 if count is None else count)
            for row in rows:
                answer_schema.validate(row)
                assert all(map(math.isfinite, row["outputs"]))
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == right

    for path, value, at in itertools.product(PATHS, NOT_QUITE_NUMBERS, (0, WIDTH - 1)):
        row = with_another([0.5] * WIDTH, at, value)
        send(path, JSON_TYPE, json.dumps(as_form(form_of(path), [0.5] * WIDTH, row)).encode())
        if form_of(path) == PREDICTIONS:
            send(path, JSON_TYPE, json.dumps({"inputs": row}).encode())

    rows = from_schema(described["input_schema"])
    almost = st.builds(with_another, rows, st.integers(0, WIDTH - 1), anything)
    documents = st.sampled_from(PATHS).flatmap(
        lambda path: st.tuples(
            st.just(path),
            st.builds(as_form, st.just(form_of(path)), rows, rows | almost)
            | st.builds(lambda row: {"inputs": row}, rows | almost)
            | st.builds(lambda several: {"instances": several}, st.lists(rows, max_size=4))
            | st.builds(lambda name, value: {name: value}, st.sampled_from(MEMBERS), anything)
            | anything,
        )
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
        asked=documents,
        content_type=st.sampled_from(TYPES),
        at=st.integers(0, 10_000),
        how=st.sampled_from(["", "", "cut", "flip", "insert", "twice", "byte"]),
        said=st.sampled_from(SAID),
    )
    def fuzz(asked: tuple[str, Any], content_type: str | None, at: int, how: str, said: str) -> None:
        path, document = asked
        send(
            path, content_type, damaged(json.dumps(document).encode("utf-8", "surrogatepass"), at, how, said)
        )

    fuzz()
    after = served.status()["pids"] | {"workers": served.model("net", "1.0")["workers"]["pids"]}
    assert after == before
    assert seen.total() >= REQUESTS
    for form in (PREDICTIONS, V1, V2):
        assert min(seen[form, status] for status in (200, 400, 422)) > 0, seen
    assert seen[PREDICTIONS, 415]
