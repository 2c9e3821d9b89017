import json

import pytest
import torch

from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.request import Request
from statehouse.models import CategoricalFeature, NumericFeature, TabularTask

FEATURES = [
    NumericFeature(name="age", mean=40.0, std=10.0, minimum=0.0),
    CategoricalFeature(name="colour", categories=["red", "green"]),
]
CLASSES = TabularTask(kind="classification", features=FEATURES, labels=["no", "yes"])
VALUE = TabularTask(kind="regression", features=FEATURES, target_mean=1e6, target_std=1e3)


def net(outputs):
    return {"input_size": 3, "hidden_sizes": [5], "output_size": outputs}


@pytest.fixture
def classifier(make_handler):
    return make_handler("mlp", net(2), CLASSES)


@pytest.fixture
def regressor(make_handler):
    return make_handler("mlp", net(1), VALUE)


def ask(handler, document, content_type="application/json", **more):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    [response] = handler.answer([Request(body, content_type, **more)])
    return response.status, json.loads(response.body)


ROWS = [{"age": 30, "colour": "green"}, {"colour": "red", "age": 55.5}]
COLUMNS = torch.tensor([[-1.0, 0, 1], [1.55, 1, 0]])


def output(handler):
    with torch.inference_mode():
        return handler.module(COLUMNS)


def test_a_classification_is_the_module_s_softmax(classifier):
    scores = torch.softmax(output(classifier), dim=1).numpy()
    _, document = ask(classifier, {"instances": ROWS})
    for answer, row in zip(document["predictions"], scores, strict=True):
        assert answer["label"] == CLASSES.labels[row.argmax()]
        assert answer["score"] == pytest.approx(row.max(), abs=1e-6)
        assert len(answer["top_k"]) == 2
    assert ask(classifier, {"inputs": ROWS[0]})[1]["label"] == document["predictions"][0]["label"]


def test_a_regression_is_in_the_target_s_unit(regressor):
    values = output(regressor)[:, 0].double().numpy() * 1e3 + 1e6
    _, document = ask(regressor, {"instances": ROWS})
    assert [answer["value"] for answer in document["predictions"]] == pytest.approx(values.tolist(), rel=1e-6)
    assert list(ask(regressor, {"inputs": ROWS[0]})[1]) == ["value"]


def test_v2_rows_that_cannot_be_taken_are_numbered(classifier):
    inputs = [
        {"name": "age", "datatype": "INT64", "shape": [3], "data": [1, -2, 3]},
        {"name": "colour", "datatype": "BYTES", "shape": [3], "data": ["red", "green", "gren"]},
    ]
    status, document = ask(classifier, {"inputs": inputs}, form="v2")
    assert (status, document["rows"]) == (422, [1, 2])
    assert "at least 0" in document["errors"][0]["detail"]
    assert "did you mean 'green'" in document["errors"][1]["detail"]


def test_v2_without_any_input_of_the_model_s_is_refused(classifier):
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    status, document = ask(classifier, {"inputs": [tensor]}, form="v2")
    assert status == 422
    assert "'age' is missing" in document["detail"]


def test_a_form_is_a_row(make_version, load_worker):
    worker = load_worker(make_version("mlp", net(2), CLASSES), "statehouse.handlers.tabular")
    good, bad = (worker.uploaded(age=("", age), colour=("", b"red")) for age in (b"30.5", b"old"))
    received = worker.send(good, bad, worker.posted(json.dumps({"inputs": ROWS[0]}).encode()))
    assert [each.status for each in received] == [200, 422, 200]
    assert "'age' is 'old' (text); expected a number" in received[1].json["detail"]


def test_a_json_upload_of_any_type_is_json(make_version, load_worker):
    worker = load_worker(make_version("mlp", net(2), CLASSES), "statehouse.handlers.tabular")
    body = json.dumps({"instances": ROWS}).encode()
    [received] = worker.send(worker.uploaded(file=("application/octet-stream", body)))
    assert len(received.json["predictions"]) == 2


@pytest.mark.parametrize(
    ("document", "status", "told"),
    [
        ({"inputs": {"age": 3}}, 422, "'colour' is missing"),
        ({"inputs": {"age": "3", "colour": "red"}}, 422, "'3' (text); expected a number"),
        ({"inputs": [3, "red"]}, 422, "expected an object with the features 'age', 'colour'"),
        (b'{"inputs": {"age": 3, "age": 4, "colour": "red"}}', 400, "more than once: 'age'"),
        (b"3,red", 415, "features by name"),
    ],
)
def test_what_is_no_row_is_told_so(classifier, document, status, told):
    content_type = "" if document == b"3,red" else "application/json"
    got, problem = ask(classifier, document, content_type)
    assert got == status
    assert told in problem["detail"]


def test_features_that_do_not_fill_the_module_s_row_are_refused(make_handler):
    with pytest.raises(ModuleMismatchError, match=r"rows of \[3\], and the architecture takes \[4\]"):
        make_handler("mlp", {**net(2), "input_size": 4}, CLASSES)


def test_a_regression_has_one_output(make_handler):
    with pytest.raises(ModuleMismatchError, match=r"gives \[2\] per row; expected one number"):
        make_handler("mlp", net(2), VALUE)


def test_made_examples_are_accepted(classifier):
    assert [classifier.answer([classifier.make_example(seed)])[0].status for seed in range(5)] == [200] * 5


def test_schemas_describe_rows_and_answers(classifier, regressor):
    assert classifier.input_schema()["required"] == ["age", "colour"]
    assert classifier.output_schema()["properties"]["label"]["enum"] == ["no", "yes"]
    assert regressor.output_schema()["required"] == ["value"]
    assert regressor.tensor_outputs() == [{"name": "value", "datatype": "FP32", "shape": [-1]}]
