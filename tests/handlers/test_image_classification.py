import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.request import Request
from statehouse.models import ImageClassificationTask

NET = {"in_channels": 3, "height": 8, "width": 8, "num_classes": 4, "channels": [4]}
TASK = ImageClassificationTask(
    labels=["cat", "dog", "emu", "fox"],
    height=8,
    width=8,
    mode="rgb",
    mean=[0.1, 0.2, 0.3],
    std=[0.5, 0.6, 0.7],
    top_k=3,
)


@pytest.fixture
def handler(make_handler):
    return make_handler("convnet", NET, TASK)


def image(seed, kind="PNG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return pixels, buffer.getvalue()


def scores_of(handler, pixels):
    scaled = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    standardised = (scaled - torch.tensor(TASK.mean).view(3, 1, 1)) / torch.tensor(TASK.std).view(3, 1, 1)
    with torch.inference_mode():
        return torch.softmax(handler.module(standardised[None]), dim=1)[0].numpy()


def in_json(*bodies):
    return [{"b64": base64.b64encode(body).decode()} for body in bodies]


def ask(handler, body, content_type="application/json", **more):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    [response] = handler.answer([Request(body, content_type, **more)])
    return response.status, json.loads(response.body)


@pytest.mark.parametrize(
    "content_type",
    ["image/png", "", "application/octet-stream", "application/json", "image/jpeg", "image/jpg"],
)
def test_a_png_is_classified_whatever_it_was_declared_to_be(handler, content_type):
    pixels, body = image(1)
    scores = scores_of(handler, pixels)
    order = np.argsort(-scores)
    status, document = ask(handler, body, content_type)
    assert status == 200
    assert document["label"] == TASK.labels[order[0]] == document["top_k"][0]["label"]
    assert document["score"] == pytest.approx(scores.max(), abs=1e-6)
    assert [entry["label"] for entry in document["top_k"]] == [TASK.labels[i] for i in order[:3]]
    assert [entry["score"] for entry in document["top_k"]] == pytest.approx(
        scores[order[:3]].tolist(), abs=1e-6
    )


def test_json_rows_give_the_same_answers_as_bodies(handler):
    bodies = [image(seed)[1] for seed in (1, 2)]
    alone = [ask(handler, body, "image/png")[1] for body in bodies]
    assert ask(handler, {"inputs": in_json(bodies[0])[0]}) == (200, alone[0])
    _, document = ask(handler, {"instances": in_json(*bodies)})
    assert [each["label"] for each in document["predictions"]] == [each["label"] for each in alone]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "told"),
    [
        (b"GIF89a....", "image/gif", 415, "image/gif"),
        (b"GIF89a....", "", 415, "is GIF, which"),
        (b"%PDF-1.7", "image/png", 415, "image/png, image/jpeg, image/webp"),
        (image(1)[1][:60], "image/png", 422, "cannot be decoded"),
        (b"", "image/png", 400, "empty"),
        ({"inputs": "aGk="}, "application/json", 422, "is text"),
        ({"inputs": {"b64": "aGk="}}, "application/json", 415, "begins with b'hi'"),
        ({"inputs": {"b64": "!"}}, "application/json", 422, "base64"),
    ],
)
def test_what_is_no_image_is_told_so(handler, body, content_type, status, told):
    got, document = ask(handler, body, content_type)
    assert got == status
    assert told in document["detail"]


def test_the_numbers_of_all_bad_images_are_told(handler):
    good, cut = image(1)[1], image(2)[1][:60]
    status, document = ask(handler, {"instances": [*in_json(good, cut, b"GIF89a", good), 7]})
    assert (status, document["rows"]) == (422, [1, 2, 4])
    slugs = [error["type"].rsplit(":")[-1] for error in document["errors"]]
    assert slugs == ["broken-image", "unsupported-media-type", "invalid-input"]


def test_an_upload_is_an_image(make_version, load_worker):
    worker = load_worker(make_version("convnet", NET, TASK), "statehouse.handlers.image_classification")
    body = image(1)[1]
    received = worker.send(
        worker.uploaded(file=("image/png", body)),
        worker.posted(body, "image/png"),
        worker.posted(body[:70], "image/png"),
    )
    assert [each.status for each in received] == [200, 200, 422]
    assert received[0].json["label"] == received[1].json["label"]


def test_a_module_of_flat_rows_gets_flat_rows(make_handler):
    task = TASK.model_copy(update={"mode": "greyscale", "mean": [0.5], "std": [0.5]})
    net = {"input_size": 64, "hidden_size": 5, "num_classes": 4}
    assert ask(make_handler("simple_net", net, task), image(1)[1], "image/png")[0] == 200


def test_a_module_of_another_size_is_refused(make_handler):
    with pytest.raises(
        ModuleMismatchError, match=r"images of \[3, 9, 8\], and the architecture takes \[3, 8, 8\]"
    ):
        make_handler("convnet", NET, TASK.model_copy(update={"height": 9}))


def test_small_bodies_may_not_become_large_batches(make_handler):
    task = TASK.model_copy(update={"height": 2048, "width": 2048})
    handler = make_handler("convnet", {**NET, "height": 2048, "width": 2048, "channels": [1] * 9}, task)
    tiny = in_json(image(1)[1])[0]
    status, document = ask(handler, {"instances": [tiny] * 6})
    assert status == 413
    assert "6 rows; at most 5" in document["detail"]


def test_schemas_and_metadata_describe_rows_and_answers(handler):
    assert handler.input_schema()["properties"]["b64"]["contentEncoding"] == "base64"
    assert handler.output_schema()["properties"]["label"]["enum"] == TASK.labels
    assert handler.tensor_inputs() == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert handler.tensor_outputs() == [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "score", "datatype": "FP32", "shape": [-1]},
        {"name": "scores", "datatype": "FP32", "shape": [-1, 4]},
    ]
