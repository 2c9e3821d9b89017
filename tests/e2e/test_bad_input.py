"""Every bad request gets one clear problem of ours, and no worker is worse for it."""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from examples import train_breast_cancer
from tests.e2e.problems import (
    CANCER,
    JSON_TYPE,
    NET,
    NET_V1,
    NET_V2,
    RAW_TYPE,
    assert_problem,
    refuse,
    same_workers,  # noqa: F401 - a fixture
)  # fmt: skip
from tests.e2e.server import Server

LIMIT_BYTES = 16 * 2**20


@pytest.mark.parametrize("content_type", [JSON_TYPE, None])
@pytest.mark.parametrize(
    ("body", "slug", "said"),
    [
        (b"", "empty-body", "empty"),
        (b'{"inputs": [1, 2', "broken-json", "line 1"),
        (b'{"inputs": [1, 2, 3, 4, 5, 6,]}', "broken-json", "omma"),
        (b"{'inputs': [1, 2, 3, 4, 5, 6]}", "broken-json", "line 1"),
        (b'{"inputs": [1, 2, 3, 4, 5, 6]} {}', "broken-json", "character 31"),
        (b'{"inputs": "\xff\xfe"}', "not-utf-8", "Byte 12 (0xff)"),
        (b'{"inputs": [1, 2, 3, 4, 5, NaN]}', "broken-json", "character 27"),
        (b'{"inputs": [1, 2, 3, 4, 5, Infinity]}', "broken-json", "character 27"),
        (b'{"inputs": [1, 2, 3, 4, 5, 1e999]}', "broken-json", "character 27"),
        (b'{"inputs": [1, 2, 3, 4, 5, ' + b"9" * 5000 + b"]}", "broken-json", "character 27"),
        (b'{"inputs": ["\\ud800"]}', "broken-json", "surrogate"),
        (b"[" * 100_000, "broken-json", "too deeply"),
        (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "broken-json", "too deeply"),
        (b'{"a":' * 100_000, "broken-json", "too deeply"),
        (b'{"inputs": [0, 0, 0, 0, 0, 0], "inputs": [1]}', "broken-json", "'inputs'"),
        (b"[1, 2, 3, 4, 5, 6]", "malformed-request", "a list"),
        (b"{}", "malformed-request", "'instances'"),
        (b'{"input": [1]}', "malformed-request", "'input'"),
        (b'{"inputs": [1], "instances": [[1]]}', "malformed-request", "'inputs', 'instances'"),
        (b'{"instances": {"0": [1]}}', "malformed-request", "an object"),
    ],
)  # fmt: skip
def test_what_is_no_request_at_all(
    server: Server, body: bytes, slug: str, said: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content_type": content_type}
    refuse(server, NET, body, 400, slug, said, **headers)


@pytest.mark.parametrize(
    ("inputs", "slug", "said"),
    [
        ("[1, 2, 3]", "wrong-shape", "[3]; expected [6]"),
        ("[[1, 2, 3, 4, 5, 6]]", "wrong-shape", "[1, 6]; expected [6]"),
        ("[]", "wrong-shape", "[0]; expected [6]"),
        ("null", "wrong-shape", "null"),
        ("{}", "wrong-shape", "an object"),
        ("[" * 500 + "]" * 500, "wrong-shape", "expected [6]"),
        ('[1, 2, 3, 4, 5, "6"]', "invalid-input", "'6' at [5] is text"),
        ("[1, 2, 3, 4, 5, true]", "invalid-input", "true/false"),
        ("[1, 2, 3, 4, 5, null]", "invalid-input", "null"),
        ("[1, 2, 3, 4, 5, [6]]", "invalid-input", "a list"),
        ("[1, 2, 3, 4, 5, 1e39]", "invalid-input", "inf as float32"),
    ],
)
def test_values_that_do_not_fit_a_tensor(server: Server, inputs: str, slug: str, said: str) -> None:
    refuse(server, NET, f'{{"inputs": {inputs}}}'.encode(), 422, slug, said)


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (bytes(23), 422, "wrong-shape"),
        (bytes(25), 422, "wrong-shape"),
        (np.full(6, np.nan, "<f4").tobytes(), 422, "invalid-input"),
        (b"", 400, "empty-body"),
    ],
)
def test_raw_numbers_of_another_length_or_not_finite(
    server: Server, body: bytes, status: int, slug: str
) -> None:
    refuse(server, NET, body, status, slug, content_type=RAW_TYPE)


@pytest.mark.parametrize(
    "content_type", ["image/gif", "application/pdf", "text/plain", "image/png", "x", "é", "multipart/mixed"]
)
def test_types_that_are_not_read(server: Server, content_type: str) -> None:
    body = b'{"inputs": [0, 0, 0, 0, 0, 0]}'
    answer = server.client.post(NET, content=body, headers={"content-type": content_type.encode()})
    assert_problem(answer, 415, "unsupported-media-type", "expected")


def test_an_encoded_body(server: Server) -> None:
    refuse(server, NET, zlib.compress(b"{}"), 415, "unsupported-media-type", "gzip", content_encoding="gzip")


class TestFeatures:
    @pytest.fixture(scope="class")
    @staticmethod
    def row() -> dict[str, Any]:
        split = train_breast_cancer.load_split()
        return split.row_as_object(split.test_rows[0])

    def test_every_missing_and_unknown_one_is_named(self, server: Server, row: dict[str, Any]) -> None:
        changed = {**row, "mean_radios": 1.0, "colour": "red"}
        del changed["mean_radius"], changed["worst_area"]
        problem = refuse(server, CANCER, json.dumps({"inputs": changed}).encode(), 422, "invalid-input")
        for said in ("'mean_radios' is unknown (did you mean 'mean_radius'?)", "'worst_area' is missing"):
            assert said in problem["detail"]
        assert "'mean_radius' is missing" not in problem["detail"]
        assert "errors" not in problem
        nothing = refuse(server, CANCER, b'{"inputs": {}}', 422, "invalid-input", "for 30 reasons")
        assert len(nothing["errors"]) == 30

    @pytest.mark.parametrize("value", ["17.99", True, None, [1.0], {}, 1e308, 10**300])
    def test_a_value_that_is_no_usable_number(
        self, server: Server, row: dict[str, Any], value: object
    ) -> None:
        body = json.dumps({"inputs": {**row, "mean_radius": value}}).encode()
        refuse(server, CANCER, body, 422, "invalid-input", "'mean_radius' is ")

    def test_one_given_twice(self, server: Server) -> None:
        refuse(server, CANCER, b'{"inputs": {"mean_radius": 1, "mean_radius": 2}}', 400, "broken-json")

    def test_an_image_or_raw_numbers(self, server: Server) -> None:
        for body in (b"\x89PNG\r\n\x1a\n", bytes(240)):
            refuse(server, CANCER, body, 415, "unsupported-media-type", content_type=RAW_TYPE)

    def test_bad_rows_are_numbered(self, server: Server, row: dict[str, Any]) -> None:
        rows = [row, {}, row, {**row, "mean_radius": "x"}, 3]
        body = json.dumps({"instances": rows}).encode()
        problem = refuse(server, CANCER, body, 422, "rows-refused", "Of 5 rows 3")
        assert problem["rows"] == [1, 3, 4]
        assert [error["row"] for error in problem["errors"]] == [1, 3, 4]


def tensor(**changed: Any) -> dict[str, Any]:
    given = {"name": "input", "datatype": "FP32", "shape": [1, 6], "data": [0.0] * 6, **changed}
    return {"inputs": [{name: value for name, value in given.items() if value is not None}]}


@pytest.mark.parametrize(
    ("document", "status", "slug", "said"),
    [
        ({}, 400, "malformed-request", "inputs"),
        ([], 400, "malformed-request", "the document"),
        ({"inputs": []}, 400, "malformed-request", "inputs"),
        (tensor(datatype=3), 400, "malformed-request", "inputs.0.datatype"),
        (tensor(shape=[-1, 6]), 400, "malformed-request", "inputs.0.shape.0"),
        (tensor(shape=[1] * 33), 400, "malformed-request", "inputs.0.shape"),
        (tensor(parameters={"shared_memory_region": "x"}), 400, "malformed-request", "shared_memory_region"),
        (tensor(datatype="FP64"), 422, "invalid-input", "expected FP32"),
        (tensor(datatype="X"), 422, "invalid-input", "'X' is unknown"),
        (tensor(shape=[6]), 422, "invalid-input", "expected FP32 of [-1, 6]"),
        (tensor(shape=[2**62, 2**62]), 422, "invalid-input", "6 elements"),
        (tensor(shape=[0, 6], data=[]), 422, "invalid-input", "no rows"),
        (tensor(data=["0"] * 6), 422, "invalid-input", "text"),
        (tensor(data=[0.0] * 5), 422, "invalid-input", "5 elements"),
        (tensor(data=None), 422, "invalid-input", "binary_data_size"),
        (tensor(name="x"), 422, "invalid-input", "'input' is missing"),
        ({"inputs": tensor()["inputs"] * 2}, 422, "invalid-input", "twice"),
    ],
)  # fmt: skip
def test_open_inference_documents(
    server: Server, document: object, status: int, slug: str, said: str
) -> None:
    problem = refuse(server, NET_V2, json.dumps(document).encode(), status, slug, said)
    assert said in problem["error"]


@pytest.mark.parametrize(
    ("size", "tail", "length", "status", "slug"),
    [
        (24, bytes(23), None, 400, "malformed-request"),
        (24, bytes(25), None, 400, "malformed-request"),
        (23, bytes(23), None, 422, "invalid-input"),
        (-1, bytes(24), None, 400, "malformed-request"),
        (10**30, bytes(24), None, 400, "malformed-request"),
        (24, bytes(24), "10", 400, "broken-json"),
        (24, bytes(24), "0", 400, "empty-body"),
        (24, bytes(24), "99999999999999999999", 400, "malformed-request"),
        (24, bytes(24), "-1", 400, "malformed-request"),
        (24, bytes(24), "x", 400, "malformed-request"),
        (24, np.full(6, np.inf, "<f4").tobytes(), None, 422, "rows-refused"),
    ],
)
def test_binary_tensors(
    server: Server, size: int, tail: bytes, length: str | None, status: int, slug: str
) -> None:
    document = json.dumps(tensor(data=None, parameters={"binary_data_size": size})).encode()
    header = {"inference_header_content_length": str(len(document)) if length is None else length}
    refuse(server, NET_V2, document + tail, status, slug, **header)


@pytest.mark.parametrize("body", [b"", b'{"inputs": [0, 0, 0, 0, 0, 0]}', b"[]", b"\x89PNG", bytes(24)])
def test_kserve_v1(server: Server, body: bytes) -> None:
    answer = server.client.post(NET_V1, content=body)
    assert_problem(answer, 400, answer.json()["type"].removeprefix("urn:statehouse:problem:"))


def test_more_rows_than_one_request_may_have(server: Server) -> None:
    body = json.dumps({"instances": [[0.0] * 6] * 10_001}).encode()
    refuse(server, NET, body, 413, "too-large", "10001 rows")


class TestOverTheLimit:
    def test_declared(self, server: Server) -> None:
        answer = server.client.post(NET, content=bytes(LIMIT_BYTES + 1))
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
        assert str(LIMIT_BYTES) in answer.json()["detail"]

    @pytest.mark.parametrize("size", [2**30, 2**31, 2**32 + 10, 2**63 - 1])
    def test_declared_and_not_sent(self, server: Server, size: int) -> None:
        head = f"POST {NET} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
        answer = converse(server, [head])
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"application/problem+json" in answer

    def test_chunked(self, server: Server) -> None:
        head = f"POST {NET} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
        answer = converse(server, [head, *[chunk] * 17, b"0\r\n\r\n"])
        assert answer.startswith(b"HTTP/1.1 413 ")
        for said in (b"application/problem+json", b"x-model-version: 1.0", b"x-model-digest: "):
            assert said in answer
        assert str(LIMIT_BYTES).encode() in answer

    def test_headers(self, server: Server) -> None:
        answer = server.client.post(NET, content=b"{}", headers={"x-long": "a" * 9000})
        assert (answer.status_code, answer.headers["content-type"]) == (431, "application/problem+json")


def converse(server: Server, parts: Iterable[bytes]) -> bytes:
    """Send `parts` as they are; return all that comes back until the other side closes."""
    host, port = server.announced["front"].removeprefix("http://").rsplit(":", 1)
    received = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except OSError:
            pass  # refused before all was sent
        while got := connection.recv(65536):
            received += got
    return received
