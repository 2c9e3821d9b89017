"""What is read quickly must be answered as the strict readers answer it, byte for byte."""

import json

import numpy as np
import pytest

from statehouse.handlers.request import Request
from statehouse.models import TensorTask

JSON, RAW = "application/json", "application/octet-stream"
ROW = b"[1, 2.5, -3e-2, 400]"
ROWS = b"[" + ROW + b", " + ROW + b"]"
NESTED = b"[[1, 2.5], [-3e-2, 400]]"


def v2(**changed):
    tensor = {"name": "input", "datatype": "FP32", "shape": [2, 4], "data": [1, 2, 3, 4, 5, 6, 7, 8]}
    document = {"inputs": [tensor | changed.pop("tensor", {})], **changed}
    return json.dumps(document).encode()


def binary(shape=(2, 4), values=(1, 2, 3, 4, 5, 6, 7, 8), **changed):
    tail = np.array(values, "<f4").tobytes()
    tensor = {"name": "input", "datatype": "FP32", "shape": shape}
    tensor["parameters"] = {"binary_data_size": len(tail)}
    head = json.dumps({"inputs": [tensor | changed.pop("tensor", {})], **changed}).encode()
    return head, tail


QUICK = {
    "inputs": (b'{"inputs": ' + ROW + b"}", "predictions"),
    "spread out": (b'{\n "inputs" :\t[ 1 ,2,\n3.0,-0\n] } ', "predictions"),
    "instances": (b'{"instances": ' + ROWS + b"}", "predictions"),
    "v1": (b'{"instances": [' + ROW + b"]}", "v1"),
    "large whole numbers": (
        b'{"inputs": [9007199254740993, -9223372036854775808, 18446744073709551615, 1]}',
        "",
    ),
    "tiny": (b'{"inputs": [1e-400, 5e-324, 1e-46, -0.0]}', ""),
    "v2 flat": (v2(), "v2"),
    "v2 nested": (v2(tensor={"data": [[1, 2, 3, 4], [5, 6, 7, 8]]}), "v2"),
    "v2 with more": (v2(id="a", outputs=[{"name": "output", "parameters": {"binary_data": True}}]), "v2"),
    "v2 binary answer": (v2(parameters={"binary_data_output": True}), "v2"),
}
STRICT = {
    "too few": (b'{"inputs": [1, 2, 3]}', "predictions"),
    "too many": (b'{"inputs": [1, 2, 3, 4, 5]}', "predictions"),
    "empty": (b'{"inputs": []}', "predictions"),
    "nested too deeply": (b'{"inputs": [' + ROW + b"]}", "predictions"),
    "hidden nesting": (b'{"inputs": [[], 1, 2, [3, 4]]}', "predictions"),
    "text": (b'{"inputs": [1, 2, 3, "4"]}', "predictions"),
    "true": (b'{"inputs": [1, 2, 3, true]}', "predictions"),
    "null": (b'{"inputs": [1, 2, 3, null]}', "predictions"),
    "object": (b'{"inputs": [1, 2, 3, {"a": 4}]}', "predictions"),
    "NaN": (b'{"inputs": [1, 2, 3, NaN]}', "predictions"),
    "infinite": (b'{"inputs": [1, 2, 3, 1e999]}', "predictions"),
    "too large": (b'{"inputs": [1, 2, 3, 1e39]}', "predictions"),
    "beyond 64 bits": (b'{"inputs": [1, 2, 3, 36893488147419103232]}', "predictions"),
    "twice": (b'{"inputs": ' + ROW + b', "inputs": ' + ROW + b"}", "predictions"),
    "both": (b'{"inputs": ' + ROW + b', "instances": ' + ROWS + b"}", "predictions"),
    "another member": (b'{"inputs": ' + ROW + b', "x": 1}', "predictions"),
    "another name": (b'{"input": ' + ROW + b"}", "predictions"),
    "escaped name": (b'{"\\u0069nputs": ' + ROW + b"}", "predictions"),
    "v1 with inputs": (b'{"inputs": ' + ROW + b"}", "v1"),
    "no object": (ROW, "predictions"),
    "cut short": (b'{"inputs": ' + ROW, "predictions"),
    "cut in a number": (b'{"inputs": [1, 2, 3, 4', "predictions"),
    "too much": (b'{"inputs": ' + ROW + b"}}", "predictions"),
    "comma": (b'{"inputs": [1, 2, 3, 4,]}', "predictions"),
    "leading zero": (b'{"inputs": [1, 2, 3, 04]}', "predictions"),
    "byte order mark": (b'\xef\xbb\xbf{"inputs": ' + ROW + b"}", "predictions"),
    "not UTF-8": (b'{"inputs\xff": ' + ROW + b"}", "predictions"),
    "no rows": (b'{"instances": []}', "predictions"),
    "a wrong row": (b'{"instances": [' + ROW + b", [1, 2, 3]]}", "predictions"),
    "a row that is none": (b'{"instances": [' + ROW + b", 5]}", "predictions"),
    "rows that add up": (b'{"instances": [[1, 2, 3], [1, 2, 3, 4, 5]]}', "predictions"),
    "row with an infinite number": (b'{"instances": [' + ROW + b", [1, 2, 3, 4e38]]}", "predictions"),
    "v2 datatype": (v2(tensor={"datatype": "INT64"}), "v2"),
    "v2 name": (v2(tensor={"name": "x"}), "v2"),
    "v2 shape": (v2(tensor={"shape": [4, 2]}), "v2"),
    "v2 no shape": (v2(tensor={"shape": []}), "v2"),
    "v2 no rows": (v2(tensor={"shape": [0, 4], "data": []}), "v2"),
    "v2 other nesting": (v2(tensor={"data": [[1, 2], [3, 4], [5, 6], [7, 8]]}), "v2"),
    "v2 half nested": (v2(tensor={"data": [1, 2, 3, 4, [5, 6, 7, 8]]}), "v2"),
    "v2 true": (v2(tensor={"data": [True] * 8}), "v2"),
    "v2 no data": (v2(tensor={"data": None}), "v2"),
    "v2 data elsewhere": (v2(tensor={"parameters": {"data": [1] * 8}, "data": None}), "v2"),
    "v2 data named so": (v2(tensor={"name": "data"}), "v2"),
    "v2 too large": (v2(tensor={"data": [1e39] * 8}), "v2"),
    "v2 twice": (v2().replace(b'"shape"', b'"data": [1], "shape"'), "v2"),
    "v2 two inputs": (v2().replace(b"]}]", b']}, {"name": "b", "datatype": "FP32", "shape": [1], "data": [1]}]'), "v2"),
    "v2 classification": (v2(parameters={"classification": 1}), "v2"),
    "v2 unknown output": (v2(outputs=[{"name": "x"}]), "v2"),
    "v2 no object": (b'[{"data": [1]}]', "v2"),
}  # fmt: skip
BINARY = {
    "as it should be": binary(),
    "with an identifier": binary(id="x", parameters={"binary_data_output": True}),
    "wrong shape": binary((4, 2)),
    "too short": (binary()[0], b"123"),
    "too long": (binary()[0], binary()[1] + b"1234"),
    "size of another": binary(tensor={"parameters": {"binary_data_size": 16}}),
    "no size": binary(tensor={"parameters": {}}),
    "both": binary(tensor={"data": [1] * 8}),
    "NaN": binary(values=[1, 2, 3, 4, 5, np.nan, 7, 8]),
    "no rows": binary((0, 4), []),
    "nothing": (b"", b""),
}


@pytest.fixture
def quick_body():
    return Request(b'{"inputs": [1, 2, 3, 4]}', JSON)


@pytest.fixture
def handler(make_handler):
    return make_handler("simple_net", {"input_size": 4, "hidden_size": 5, "num_classes": 3}, TensorTask())


def both_ways(handler, request, neighbour):
    """The answers with and without quick reading, beside a request that is always good."""
    quickly = handler.answer([neighbour, request, neighbour])
    quick, handler.quick = handler.quick, None
    strictly = handler.answer([neighbour, request, neighbour])
    handler.quick = quick
    assert quickly == strictly
    return quickly[1]


@pytest.mark.parametrize("name", QUICK)
def test_the_usual_forms_are_read_quickly(handler, quick_body, name):
    body, form = QUICK[name]
    request = Request(body, JSON, form or "predictions")
    assert handler.quick.decode(request) is not None
    assert both_ways(handler, request, quick_body).status == 200


@pytest.mark.parametrize("name", STRICT)
def test_all_else_is_told_as_the_strict_readers_tell_it(handler, quick_body, name):
    body, form = STRICT[name]
    response = both_ways(handler, Request(body, JSON, form), quick_body)
    assert response.status == 200 or response.content_type == "application/problem+json"


@pytest.mark.parametrize("name", BINARY)
def test_binary_tensors(handler, quick_body, name):
    head, tail = BINARY[name]
    for length in (str(len(head)), str(len(head) + 1), "x", "9" * 30):
        request = Request(head + tail, "", "v2", inference_header_length=length)
        both_ways(handler, request, quick_body)


def test_binary_tensors_are_read_quickly(handler):
    head, tail = binary()
    decoded = handler.quick.decode(Request(head + tail, "", "v2", inference_header_length=str(len(head))))
    assert decoded.rows.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize("values", [[1, 2, 3, 4], [1, np.nan, 3, 4], [1, 2, 3]])
def test_raw_rows(handler, quick_body, values):
    both_ways(handler, Request(np.array(values, "<f4").tobytes(), RAW), quick_body)


@pytest.mark.parametrize(
    "changed", [{"content_type": "text/plain"}, {"content_encoding": "gzip"}, {"content_type": ""}]
)
def test_other_requests(handler, quick_body, changed):
    fields = {"content_type": JSON, **changed}
    both_ways(handler, Request(b'{"inputs": ' + ROW + b"}", **fields), quick_body)


def test_every_way_of_writing_a_number(handler, quick_body):
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.standard_normal(4) * 10.0 ** rng.integers(-50, 38, 4)
        written = ", ".join(
            f"{value:{kind}}" for value, kind in zip(values, ("", ".17e", ".3f", ".0f"), strict=True)
        )
        both_ways(handler, Request(b'{"inputs": [' + written.encode() + b"]}", JSON), quick_body)


def test_rows_of_several_axes(make_handler):
    nested = make_handler("fragile_net", {}, TensorTask(input_shape=[2, 2]))
    good = Request(b'{"inputs": ' + NESTED + b"}", JSON)
    assert nested.quick.decode(good).rows.tolist() == [[[1, 2.5], [-0.03, 400]]]
    assert nested.quick.decode(Request(b'{"instances": [' + NESTED + b", " + NESTED + b"]}", JSON))
    for wrong in (
        b"[1, 2, 3, 4]",
        b"[[1, 2, 3], [4]]",
        b"[[1, 2], 3]",
        b"[[[], 1], [2, [3, 4]]]",
        b"[[1, 2]]",
    ):
        assert both_ways(nested, Request(b'{"inputs": ' + wrong + b"}", JSON), good).status == 422


def test_whole_numbers_stay_whole(make_handler):
    handler = make_handler("token_net", {}, TensorTask(input_shape=[3], dtype="int64"))
    good = Request(b'{"inputs": [1, 2, 3]}', JSON)
    assert handler.quick.decode(good).rows.dtype == np.int64
    for wrong in (b"[1, 2, 3.0]", b"[1, 2, 9223372036854775808]", b"[1, 2, true]"):
        assert both_ways(handler, Request(b'{"inputs": ' + wrong + b"}", JSON), good).status == 422


def test_what_is_remembered_is_bounded(handler, quick_body):
    for index in range(200):
        assert handler.quick.decode(Request(v2(id=str(index)), JSON, "v2")).answer.identifier == str(index)
    assert len(handler.quick._plans) <= 64
    assert handler.quick.decode(quick_body) is not None
