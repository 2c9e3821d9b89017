"""Answers of the Open Inference Protocol; that its own client reads them is in bodies/test_open_inference.py."""

import json

import numpy as np
import pytest

from statehouse.handlers.bodies.open_inference import HEADER_LENGTH, InferenceRequest
from statehouse.handlers.errors import MalformedRequestError
from statehouse.handlers.pipeline.inference_response import write_inference_response

OUTPUTS = {"score": np.array([[0.5, 1.5]], np.float32), "label": np.array(["grün"], dtype=object)}


def write(outputs=None, *, binary=False, identifier=None):
    asked = InferenceRequest(identifier, {}, outputs, binary)
    return write_inference_response(asked, OUTPUTS, name="digits", version="1.0")


def test_as_json_numbers_are_flat_and_text_is_text():
    response = write()
    assert (response.status, response.headers) == (200, {})
    assert json.loads(response.body) == {
        "model_name": "digits",
        "model_version": "1.0",
        "outputs": [
            {"name": "score", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1.5]},
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["grün"]},
        ],
    }


def test_the_request_s_own_id_comes_back():
    assert json.loads(write(identifier="").body)["id"] == ""
    assert json.loads(write(identifier="abc").body)["id"] == "abc"


def test_as_bytes_they_follow_the_document_in_its_order():
    response = write(binary=True)
    length = int(response.headers[HEADER_LENGTH])
    document = json.loads(response.body[:length])
    assert response.content_type == "application/octet-stream"
    assert [output["parameters"]["binary_data_size"] for output in document["outputs"]] == [8, 9]
    assert not any("data" in output for output in document["outputs"])
    assert response.body[length:] == OUTPUTS["score"].tobytes() + b"\x05\0\0\0gr\xc3\xbcn"


def test_only_what_was_asked_for_each_as_it_was():
    response = write({"label": False, "score": True}, identifier="x")
    document = json.loads(response.body[: int(response.headers[HEADER_LENGTH])])
    assert [(output["name"], "data" in output) for output in document["outputs"]] == [
        ("label", True),
        ("score", False),
    ]
    assert json.loads(write({"score": False}, binary=True).body)["outputs"][0]["data"] == [0.5, 1.5]


def test_every_output_that_there_is_not_is_named():
    with pytest.raises(MalformedRequestError) as caught:
        write({"scores": True, "score": True, "x": False})
    assert str(caught.value) == "Unknown outputs: 'scores', 'x'. This model has: score, label."
