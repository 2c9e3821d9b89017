"""Requests as Triton's own client writes them, and answers as it reads them."""

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from statehouse.handlers.bodies.inference_tensors import DATATYPES, read_bytes_elements, write_bytes_elements
from statehouse.handlers.bodies.open_inference import HEADER_LENGTH, read_inference_request
from statehouse.handlers.errors import (
    MalformedRequestError,
)
from statehouse.handlers.pipeline.inference_response import write_inference_response
from statehouse.handlers.request import Request


def from_triton(inputs, outputs=None, request_id=""):
    body, length = triton.InferenceServerClient.generate_request_body(
        inputs, outputs=outputs, request_id=request_id
    )
    header = "" if length is None else str(length)
    return read_inference_request(Request(body, form="v2", inference_header_length=header))


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "FP16"])
def test_triton_s_tensors_arrive_as_they_were(datatype, binary):
    array = np.array([[0, 1, 1], [1, 0, 1]], DATATYPES[datatype])
    tensor = triton.InferInput("input", array.shape, datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    read_back = from_triton([tensor]).tensors["input"]
    assert (read_back.datatype, read_back.shape) == (datatype, (2, 3))
    np.testing.assert_array_equal(read_back.data, array)


@pytest.mark.parametrize("binary", [True, False])
def test_triton_s_text_arrives_as_it_was(binary):
    tensor = triton.InferInput("input", (2,), "BYTES")
    tensor.set_data_from_numpy(np.array([b"one", b"two"], dtype=object), binary_data=binary)
    expected = [b"one", b"two"] if binary else ["one", "two"]
    assert from_triton([tensor]).tensors["input"].data == expected


def test_several_binary_inputs_follow_in_order():
    one, two = triton.InferInput("one", (1,), "INT64"), triton.InferInput("two", (1,), "FP32")
    one.set_data_from_numpy(np.array([7]))
    two.set_data_from_numpy(np.array([0.5], "f4"))
    tensors = from_triton([one, two]).tensors
    assert (tensors["one"].data[0], tensors["two"].data[0]) == (7, 0.5)


OUTPUTS = {
    "label": np.array(["é", "b"], dtype=object),
    "scores": np.array([[0.25, 0.75], [1.0, 0.0]], "f4"),
}


def answer(outputs, request_id=""):
    tensor = triton.InferInput("input", (2, 2), "FP32")
    tensor.set_data_from_numpy(np.zeros((2, 2), "f4"))
    request = from_triton([tensor], outputs, request_id)
    response = write_inference_response(request, OUTPUTS, name="m", version="1.0")
    length = response.headers.get(HEADER_LENGTH)
    return triton.InferenceServerClient.parse_response_body(
        response.body, header_length=None if length is None else int(length)
    )


@pytest.mark.parametrize("binary", [True, False, None])
def test_triton_reads_the_answer_in_the_form_that_it_asked_for(binary):
    names = list(OUTPUTS)
    wanted = (
        None if binary is None else [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    )
    result = answer(wanted, "request 7")
    labels = result.as_numpy("label").tolist()
    assert [label.decode() if isinstance(label, bytes) else label for label in labels] == ["é", "b"]
    np.testing.assert_array_equal(result.as_numpy("scores"), OUTPUTS["scores"])
    document = result.get_response()
    assert (document["model_name"], document["model_version"], document["id"]) == ("m", "1.0", "request 7")
    assert ("data" in document["outputs"][0]) is (binary is False)


def test_only_the_outputs_that_were_asked_for_are_sent():
    result = answer(
        [triton.InferRequestedOutput("scores"), triton.InferRequestedOutput("label", binary_data=False)]
    )
    assert [output["name"] for output in result.get_response()["outputs"]] == ["scores", "label"]
    np.testing.assert_array_equal(result.as_numpy("scores"), OUTPUTS["scores"])
    assert "id" not in result.get_response()


def test_an_unknown_output_names_the_known_ones():
    with pytest.raises(MalformedRequestError, match=r"'probability'. This model has: label, scores"):
        answer([triton.InferRequestedOutput("probability")])


def test_elements_are_triton_s_both_ways():
    theirs = serialize_byte_tensor(np.array([b"a", b"", "é".encode()], dtype=object)).item()
    assert read_bytes_elements(memoryview(theirs), 3) == [b"a", b"", "é".encode()]
    assert deserialize_bytes_tensor(write_bytes_elements(["a", "", "é"])).tolist() == [
        b"a",
        b"",
        "é".encode(),
    ]
