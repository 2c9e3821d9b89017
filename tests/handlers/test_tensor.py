import json

import numpy as np
import pytest
import torch

from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.request import Request
from statehouse.models import TensorTask

NET = {"input_size": 4, "hidden_size": 5, "num_classes": 3}


@pytest.fixture
def handler(make_handler):
    return make_handler("simple_net", NET, TensorTask())


@pytest.fixture
def tokens(make_handler):
    return make_handler("token_net", {"vocabulary": 10}, TensorTask(input_shape=[3], dtype="int64"))


def ask(handler, body, content_type="application/json", **more):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    [response] = handler.answer([Request(body, content_type, **more)])
    return response.status, json.loads(response.body)


def expected(handler, rows):
    with torch.inference_mode():
        return handler.module(torch.tensor(rows, dtype=torch.float32)).numpy()


ROWS = [[1, 2, 3, 4], [0.5, -1, 2e3, 0]]


def test_one_row_and_several_give_the_module_s_own_numbers(handler):
    wanted = expected(handler, ROWS)
    status, document = ask(handler, {"inputs": ROWS[0]})
    assert (status, list(document)) == (200, ["outputs"])
    np.testing.assert_allclose(document["outputs"], wanted[0], rtol=1e-5)
    _, document = ask(handler, {"instances": ROWS})
    np.testing.assert_allclose([each["outputs"] for each in document["predictions"]], wanted, rtol=1e-5)


@pytest.mark.parametrize("content_type", ["application/octet-stream", ""])
def test_raw_numbers_are_a_row(handler, content_type):
    status, document = ask(handler, np.array(ROWS[1], "<f4").tobytes(), content_type)
    assert status == 200
    np.testing.assert_allclose(document["outputs"], expected(handler, ROWS)[1], rtol=1e-5)


def test_json_without_a_type_is_seen_to_be_json(handler):
    assert ask(handler, {"inputs": ROWS[0]}, "")[0] == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status", "told"),
    [
        ({"inputs": [1, 2, 3]}, "application/json", 422, "[3]; expected [4]"),
        ({"inputs": [[1, 2, 3, 4]]}, "application/json", 422, "[1, 4]; expected [4]"),
        ({"inputs": {"a": 1}}, "application/json", 422, "an object"),
        ({"inputs": [1, 2, 3, "4"]}, "application/json", 422, "'4' at [3] is text"),
        ({"inputs": [1, 2, 3, 1e39]}, "application/json", 422, "inf as float32"),
        ({"input": [1, 2, 3, 4]}, "application/json", 400, "'input'; expected {'inputs': row}"),
        ({"inputs": [], "instances": []}, "application/json", 400, "nothing else"),
        ({"instances": {}}, "application/json", 400, "an object; expected a list"),
        ({"instances": []}, "application/json", 422, "no rows"),
        ([1, 2, 3, 4], "application/json", 400, "The document is a list"),
        (b"\0" * 15, "application/octet-stream", 422, "15 bytes; expected 16: float32, little-endian"),
        (np.array([1, np.nan, 3, 4], "<f4").tobytes(), "application/octet-stream", 422, "nan"),
        (b"\x89PNG\r\n\x1a\n", "image/png", 415, "image/png is not read here"),
        (b"1,2,3,4", "text/csv", 415, "'text/csv'"),
        (b"", "", 400, "empty"),
    ],
)
def test_what_is_no_row_is_told_so(handler, body, content_type, status, told):
    got, document = ask(handler, body, content_type)
    assert (got, document["status"]) == (status, status)
    assert told in document["detail"]


def test_the_numbers_of_all_bad_rows_are_told(handler):
    rows = [[1, 2, 3, 4]] * 10
    rows[3], rows[7] = [1], ["a", 2, 3, 4]
    status, document = ask(handler, {"instances": rows})
    assert (status, document["rows"]) == (422, [3, 7])
    assert [error["type"].rsplit(":")[-1] for error in document["errors"]] == ["wrong-shape", "invalid-input"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "x"}, "'input' is missing. input 'x' is unknown; this model has input."),
        ({"shape": [4], "data": [1, 2, 3, 4]}, "FP32 of [4]; expected FP32 of [-1, 4]"),
        ({"datatype": "FP64"}, "is FP64 of [1, 4]; expected FP32"),
        ({"shape": [0, 4], "data": []}, "no rows"),
        ({"shape": [], "data": [1]}, "FP32 of []; expected"),
    ],
)
def test_v2_tensors_that_are_not_the_model_s_are_refused(handler, changed, told):
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    status, document = ask(handler, {"inputs": [tensor | changed]}, form="v2")
    assert status == 422
    assert told in document["detail"]
    assert document["error"].endswith(document["detail"])


def test_nan_in_a_binary_tensor_names_its_row(handler):
    numbers = np.array([[1] * 4, [np.nan] * 4, [np.inf] * 4], "<f4").tobytes()
    tensor = {"name": "input", "datatype": "FP32", "shape": [3, 4]}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(numbers)}}]}).encode()
    status, document = ask(handler, head + numbers, "", form="v2", inference_header_length=str(len(head)))
    assert (status, document["rows"]) == (422, [1, 2])


def test_several_parts_are_refused(worker):
    [received] = worker.send(worker.uploaded(a=("", b"1"), b=("", b"2")))
    assert received.status == 415
    assert "2 parts; expected exactly one" in received.json["detail"]


def test_one_part_is_a_row(worker):
    row = np.array(ROWS[0], "<f4").tobytes()
    [received] = worker.send(worker.uploaded(file=("application/octet-stream", row)))
    assert received.status == 200


def test_whole_numbers(tokens):
    status, document = ask(tokens, {"inputs": [1, 2, 9]})
    assert (status, len(document["outputs"])) == (200, 2)
    assert ask(tokens, np.array([1, 2, 9], "<i8").tobytes(), "application/octet-stream") == (200, document)
    assert ask(tokens, {"inputs": [1, 2, 9.5]})[0] == 422
    assert tokens.tensor_inputs() == [{"name": "input", "datatype": "INT64", "shape": [-1, 3]}]


def test_an_index_outside_the_vocabulary_harms_nobody_else(tokens):
    good, bad = (Request(json.dumps({"inputs": [1, 2, last]}).encode()) for last in (3, 10))
    responses = tokens.answer([good, bad, good])
    assert [response.status for response in responses] == [200, 422, 200]
    assert "has 10; expected whole numbers from 0 to 9" in json.loads(responses[1].body)["detail"]
    status, document = ask(tokens, {"instances": [[1, 2, 3], [-1, 2, 3], [1, 2, 10**12]]})
    assert (status, document["rows"]) == (422, [1, 2])
    assert "has -1; expected" in document["errors"][0]["detail"]
    raw = np.array([1, 2, 10], "<i8").tobytes()
    assert ask(tokens, raw, "application/octet-stream")[0] == 422
    tensor = {"name": "input", "datatype": "INT64", "shape": [1, 3], "data": [1, 2, 10]}
    assert ask(tokens, {"inputs": [tensor]}, form="v2")[0] == 422


def test_a_shape_that_nobody_says_is_asked_for(make_handler):
    with pytest.raises(ModuleMismatchError, match="give the task an input_shape"):
        make_handler("token_net", {}, TensorTask())


def test_schemas_and_metadata_describe_rows_and_answers(handler):
    numbers = {"type": "array", "items": {"type": "number"}}
    assert handler.input_schema() == {**numbers, "minItems": 4, "maxItems": 4}
    assert handler.output_schema()["properties"] == {"outputs": {**numbers, "minItems": 3, "maxItems": 3}}
    assert handler.tensor_inputs() == [{"name": "input", "datatype": "FP32", "shape": [-1, 4]}]
    assert handler.tensor_outputs() == [{"name": "output", "datatype": "FP32", "shape": [-1, 3]}]


def test_the_made_example_is_the_same_for_the_same_seed(handler):
    assert handler.make_example(0) == handler.make_example(0) != handler.make_example(1)
