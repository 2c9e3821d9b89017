import json

import numpy as np
import pytest

from statehouse.handlers.bodies.open_inference import HEADER_LENGTH, read_inference_request
from statehouse.handlers.errors import (
    BrokenJsonError,
    EmptyBodyError,
    InvalidInputError,
    MalformedRequestError,
)
from statehouse.handlers.request import Request

GOOD = {"name": "input", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}


def read(document, tail=b"", header_length=None):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    length = str(len(body)) if header_length is None else header_length
    return read_inference_request(
        Request(body + tail, form="v2", inference_header_length=length if tail or header_length else "")
    )


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_json_data_may_be_flat_or_nested(data):
    np.testing.assert_array_equal(
        read({"inputs": [GOOD | {"data": data}]}).tensors["input"].data, [[1, 2], [3, 4]]
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data": [1, 2, 3]}, "data is 3 elements; expected 4"),
        ({"data": [[1, 2], [3]]}, "a list of 1"),
        ({"data": "1234"}, "data is text"),
        ({"data": ["1", 2, 3, 4]}, "'1' at .0..0. is text"),
        ({"data": [True, 2, 3, 4]}, "true/false"),
        ({"datatype": "FP33"}, "datatype 'FP33' is unknown; expected one of BOOL"),
        ({"datatype": "INT64", "data": [1.5, 2, 3, 4]}, "expected a whole number"),
        ({"datatype": "UINT8", "data": [-1, 2, 3, 4]}, "out of range"),
        ({"datatype": "BOOL"}, "expected true or false"),
        ({"datatype": "BYTES"}, "expected text for BYTES"),
        ({"data": None}, "expected either data, or binary_data_size"),
    ],
)
def test_data_that_does_not_fit_its_tensor_is_refused_by_name(changed, message):
    with pytest.raises(InvalidInputError, match=f"input 'input': .*{message}"):
        read({"inputs": [GOOD | changed]})


def test_every_wrong_tensor_is_named():
    with pytest.raises(InvalidInputError) as caught:
        read({"inputs": [GOOD | {"data": [1]}, GOOD | {"name": "other", "data": ["x"] * 4}, GOOD, GOOD]})
    assert len(caught.value.errors) == 3
    assert "twice" in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "inputs: Field required"),
        ([], "the document: "),
        ({"inputs": []}, "inputs: "),
        ({"inputs": [{}]}, r"inputs\.0\.name: .*inputs\.0\.datatype: .*inputs\.0\.shape: "),
        ({"inputs": [GOOD | {"shape": [-1, 2]}]}, r"inputs\.0\.shape\.0"),
        ({"inputs": [GOOD | {"shape": ["2", 2]}]}, r"inputs\.0\.shape\.0"),
        ({"inputs": [GOOD | {"shape": [1] * 100}]}, r"inputs\.0\.shape"),
        ({"inputs": [GOOD], "id": 7}, "id: "),
        ({"inputs": [GOOD], "parameters": {"binary_data_output": "yes"}}, "binary_data_output"),
        (
            {"inputs": [GOOD], "outputs": [{"name": "x", "parameters": {"classification": 3}}]},
            "classification",
        ),
        ({"inputs": [GOOD | {"parameters": {"shared_memory_region": "r"}}]}, "shared_memory_region"),
    ],
)
def test_a_document_against_the_protocol_names_every_field(document, message):
    with pytest.raises(MalformedRequestError, match=message):
        read(document)


BINARY = {"name": "input", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}


@pytest.mark.parametrize(
    ("tensor", "tail", "error", "message"),
    [
        (BINARY, b"\0" * 7, MalformedRequestError, "declare 8 bytes .* 7 bytes follow"),
        (BINARY, b"\0" * 9, MalformedRequestError, "declare 8 bytes .* 9 bytes follow"),
        (GOOD, b"\0", MalformedRequestError, "declare 0 bytes .* 1 bytes follow"),
        (BINARY | {"shape": [1, 3]}, b"\0" * 8, InvalidInputError, r"8 bytes .* expected 12 for FP32"),
        (BINARY | {"shape": [2**40, 2**40]}, b"\0" * 8, InvalidInputError, "8 bytes of binary data"),
        (BINARY | {"data": [1, 2]}, b"\0" * 8, InvalidInputError, "either data, or binary_data_size"),
        (BINARY | {"datatype": "BYTES"}, b"\0" * 8, InvalidInputError, ""),
    ],
)
def test_lengths_that_do_not_agree_are_refused(tensor, tail, error, message):
    if tensor.get("datatype") == "BYTES":
        read({"inputs": [tensor]}, tail)  # two empty texts: lengths agree
        return
    with pytest.raises(error, match=message):
        read({"inputs": [tensor]}, tail)


@pytest.mark.parametrize("length", ["-1", "x", "1.5", "99999", "9" * 5000, "٣"])
def test_a_wrong_header_length_is_refused(length):
    with pytest.raises(MalformedRequestError, match=HEADER_LENGTH):
        read({"inputs": [GOOD]}, header_length=length)


def test_a_header_length_inside_the_document_breaks_its_json():
    with pytest.raises(BrokenJsonError):
        read({"inputs": [GOOD]}, header_length="10")


def test_an_empty_body_is_said_to_be_empty():
    with pytest.raises(EmptyBodyError):
        read(b"")
