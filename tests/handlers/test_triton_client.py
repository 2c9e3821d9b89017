"""Triton's own client asks each kind of model; tests/handlers/test_text_tasks.py has that of texts."""

import base64

import numpy as np
import pytest
import tritonclient.http as triton
from tests.handlers import test_image_classification as images
from tests.handlers import test_tabular as tables
from tests.handlers import test_tensor as tensors

from statehouse.handlers.bodies.open_inference import HEADER_LENGTH
from statehouse.handlers.request import Request
from statehouse.models import TensorTask


@pytest.mark.parametrize("binary", [True, False])
def test_triton_s_client_gets_the_module_s_numbers(make_handler, binary):
    handler = make_handler("simple_net", tensors.NET, TensorTask())
    tensor = triton.InferInput("input", (2, 4), "FP32")
    tensor.set_data_from_numpy(np.array(tensors.ROWS, "f4"), binary_data=binary)
    body, length = triton.InferenceServerClient.generate_request_body([tensor])
    request = Request(body, form="v2", inference_header_length="" if length is None else str(length))
    [response] = handler.answer([request])
    header_length = int(response.headers[HEADER_LENGTH])
    result = triton.InferenceServerClient.parse_response_body(response.body, header_length=header_length)
    np.testing.assert_allclose(result.as_numpy("output"), tensors.expected(handler, tensors.ROWS), rtol=1e-5)
    assert result.get_response()["model_version"] == "1.0"


def test_triton_s_client_sends_one_tensor_per_feature(make_handler):
    regressor = make_handler("mlp", tables.net(1), tables.VALUE)
    age, colour = triton.InferInput("age", (2, 1), "FP32"), triton.InferInput("colour", (2, 1), "BYTES")
    age.set_data_from_numpy(np.array([[30], [55.5]], "f4"))
    colour.set_data_from_numpy(np.array([["green"], ["red"]], dtype=object))
    body, length = triton.InferenceServerClient.generate_request_body([colour, age])
    [response] = regressor.answer([Request(body, form="v2", inference_header_length=str(length))])
    result = triton.InferenceServerClient.parse_response_body(
        response.body, header_length=int(response.headers[HEADER_LENGTH])
    )
    values = tables.output(regressor)[:, 0].numpy() * 1e3 + 1e6
    np.testing.assert_allclose(result.as_numpy("value"), values, rtol=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_triton_s_client_sends_images(make_handler, binary):
    handler = make_handler("convnet", images.NET, images.TASK)
    bodies = [images.image(seed)[1] for seed in (1, 2)]
    elements = bodies if binary else [base64.b64encode(body) for body in bodies]
    tensor = triton.InferInput("image", (2,), "BYTES")
    tensor.set_data_from_numpy(np.array(elements, dtype=object), binary_data=binary)
    body, length = triton.InferenceServerClient.generate_request_body([tensor])
    request = Request(body, form="v2", inference_header_length="" if length is None else str(length))
    [response] = handler.answer([request])
    result = triton.InferenceServerClient.parse_response_body(
        response.body, header_length=int(response.headers[HEADER_LENGTH])
    )
    wanted = np.stack([images.scores_of(handler, images.image(seed)[0]) for seed in (1, 2)])
    np.testing.assert_allclose(result.as_numpy("scores"), wanted, atol=1e-6)
    np.testing.assert_allclose(result.as_numpy("score"), wanted.max(axis=1), atol=1e-6)
    assert [label.decode() for label in result.as_numpy("label")] == [
        images.TASK.labels[i] for i in wanted.argmax(axis=1)
    ]
