import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ts.utils.util import list_classes_from_module

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.errors import GoldenMismatchError, MissingTaskError, ModuleMismatchError
from statehouse.handlers.golden import Golden
from statehouse.handlers.request import Request
from statehouse.models import (
    ImageClassificationTask,
    NumericFeature,
    TabularTask,
    TensorTask,
    load_checkpoint,
    task_names,
)
from statehouse.models.example import Example

sys.path.insert(0, str(Path(__file__).parent))
import strange_nets  # noqa: F401 - registers its modules

NET = {"input_size": 4, "hidden_size": 5, "num_classes": 3}


def rows(*values):
    return Request(json.dumps({"instances": list(values)}).encode(), "application/json")


def one(value):
    return Request(json.dumps({"inputs": value}).encode(), "application/json")


def documents(responses):
    return [json.loads(response.body) for response in responses]


@pytest.fixture
def fragile(make_handler):
    return make_handler("fragile_net", {}, TensorTask())


@pytest.mark.parametrize("task", task_names())
def test_a_task_s_module_has_the_one_class_that_torchserve_allows(task):
    module = __import__(f"statehouse.handlers.{task}", fromlist=["*"])
    [handler] = list_classes_from_module(module)
    assert issubclass(handler, CheckpointHandler)
    assert not hasattr(module, "handle")  # TorchServe would take it for the entry point


def test_several_requests_with_several_rows_go_through_in_one_pass(fragile):
    batches = []
    fragile.module.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    answers = documents(fragile.answer([one([1, 2]), rows([3, 4], [5, 6]), one([7, 8])]))
    assert batches == [4]
    assert answers == [
        {"outputs": [1, 2]},
        {"predictions": [{"outputs": [3, 4]}, {"outputs": [5, 6]}]},
        {"outputs": [7, 8]},
    ]


def test_bad_requests_leave_the_others_alone(fragile):
    requests = [one([1, 2]), Request(b"{", "application/json"), one([3]), Request(b""), one([4, 5])]
    responses = fragile.answer(requests)
    assert [response.status for response in responses] == [200, 400, 422, 400, 200]
    assert {response.content_type for response in responses[1:4]} == {"application/problem+json"}


def test_a_batch_of_bad_requests_only_never_reaches_the_module(fragile):
    fragile.module.register_forward_pre_hook(lambda *_: pytest.fail("no rows"))
    assert [each.status for each in fragile.answer([Request(b""), Request(b"")])] == [400, 400]


def test_when_the_module_raises_only_the_culprit_fails(fragile, caplog):
    with caplog.at_level(logging.WARNING):
        responses = fragile.answer([one([1, 2]), rows([3, 4], [13, 0]), one([5, 6])])
    assert [response.status for response in responses] == [200, 500, 200]
    problem = json.loads(responses[1].body)
    assert problem["type"] == "urn:statehouse:problem:inference-failed"
    assert "ValueError: thirteen" in problem["detail"]
    assert len(caplog.messages) == 2
    assert all("\n" not in message for message in caplog.messages)
    assert "strange_nets.py" in caplog.messages[1]


def test_nan_is_an_error_of_its_own_request(fragile):
    responses = fragile.answer([rows([1, 2], [14, 2]), one([3, 4])])
    assert [response.status for response in responses] == [500, 200]
    problem = json.loads(responses[0].body)
    assert problem["type"] == "urn:statehouse:problem:non-finite-output"
    assert problem["errors"] == [{"row": 1}]


def test_more_rows_than_a_chunk_come_back_in_order(fragile):
    sizes = []
    fragile.module.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    values = [[i + 100, 0] for i in range(150)]
    [answer] = documents(fragile.answer([rows(*values)]))
    assert [each["outputs"] for each in answer["predictions"]] == values
    assert sizes == [64, 64, 22]


def test_too_many_rows_are_too_large(fragile):
    [response] = fragile.answer([rows(*[[0, 0]] * 10_001)])
    assert response.status == 413
    assert "10001 rows; at most 10000" in json.loads(response.body)["detail"]


def test_large_rows_lower_the_limit(make_handler):
    handler = make_handler("token_net", {}, TensorTask(input_shape=[2**20], dtype="int64"))
    assert handler.row_limit == 8


def test_every_answer_names_version_and_digest(fragile):
    good, bad = fragile.answer([one([1, 2]), Request(b"")])
    assert good.headers == {"X-Model-Version": "1.0", "X-Model-Digest": "d" * 64}
    assert bad.headers == {**good.headers, "x-statehouse-problem": "empty-body"}  # the front takes it away


def test_a_fault_of_ours_is_a_500_of_its_own_request(fragile, monkeypatch, caplog):
    read = fragile.row_from_value

    def row_from_value(value):
        if value == [6, 6]:
            raise LookupError("a bug")
        return read(value)

    monkeypatch.setattr(fragile, "row_from_value", row_from_value)
    monkeypatch.setattr(fragile, "quick", None)
    responses = fragile.answer([one([1, 2]), one([6, 6])])
    assert [response.status for response in responses] == [200, 500]
    assert "LookupError" in json.loads(responses[1].body)["detail"]
    assert len(caplog.messages) == 1


def test_a_fault_in_one_answer_is_a_500_of_its_own_request(fragile, monkeypatch):
    answers = fragile.row_answers

    def row_answers(outputs):
        if 6 in outputs["output"]:
            raise LookupError("a bug")
        return answers(outputs)

    monkeypatch.setattr(fragile, "row_answers", row_answers)
    responses = fragile.answer([one([1, 2]), one([6, 6])])
    assert [response.status for response in responses] == [200, 500]
    assert json.loads(responses[0].body) == {"outputs": [1, 2]}


def test_a_number_too_large_is_told_to_its_own_request(fragile):
    responses = fragile.answer([one([1, 2]), one([1e39, 2]), rows([1, 2], [3, -1e300]), one([3, 4])])
    assert [response.status for response in responses] == [200, 422, 422, 200]
    assert "The number at [0] is inf as float32" in json.loads(responses[1].body)["detail"]
    assert json.loads(responses[2].body)["rows"] == [1]
    assert json.loads(responses[3].body) == {"outputs": [3, 4]}


def test_a_module_that_changes_its_input_does_no_harm(fragile):
    fragile.module.register_forward_pre_hook(lambda _, inputs: (inputs[0].add_(1),))
    answers = documents(fragile.answer([one([1, 2]), one([12, 0]), one([5, 6])]))
    assert answers[0] == {"outputs": [2, 3]}
    assert "thirteen" in answers[1]["detail"]
    assert answers[2] == {"outputs": [6, 7]}
    assert documents(fragile.answer([one([1, 2])])) == [{"outputs": [2, 3]}]


def test_gradients_are_off_and_the_module_is_in_eval_mode(fragile):
    seen = []
    fragile.module.register_forward_hook(lambda m, _, output: seen.append((m.training, output.requires_grad)))
    fragile.answer([one([1, 2])])
    assert seen == [(False, False)]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("tuple", "tuple"),
        ("squeezed", r"a tensor of \[\]"),
        ("first_row", r"2 rows with a tensor of \[1, 2\]"),
    ],
)
def test_a_module_that_gives_no_row_per_row_is_refused(make_handler, kind, found):
    with pytest.raises(ModuleMismatchError, match=found):
        make_handler("shape_net", {"kind": kind}, TensorTask())


def test_a_module_that_raises_on_what_the_task_gives_is_refused(make_handler):
    with pytest.raises(ModuleMismatchError, match="raised RuntimeError on 1 rows"):
        make_handler("simple_net", NET, TensorTask(input_shape=[5]))


def test_labels_that_are_not_as_many_as_outputs_are_refused(make_handler):
    task = TabularTask(
        kind="classification", features=[NumericFeature(name=c) for c in "abcd"], labels=["x", "y"]
    )
    with pytest.raises(ModuleMismatchError, match=r"gives \[3\] per row; expected one output per label, 2"):
        make_handler("simple_net", NET, task)


def test_a_checkpoint_without_a_task_says_so(make_handler):
    with pytest.raises(MissingTaskError, match="names no task"):
        make_handler("simple_net", NET, None)


@pytest.mark.parametrize("kind", ["half", "quarter"])
def test_outputs_of_less_precision_become_float32(make_handler, kind):
    handler = make_handler("shape_net", {"kind": kind}, TensorTask())
    assert handler.tensor_outputs() == [{"name": "output", "datatype": "FP32", "shape": [-1, 2]}]


def test_complex_outputs_are_refused(make_handler):
    with pytest.raises(ModuleMismatchError, match="gives complex64; expected real numbers"):
        make_handler("shape_net", {"kind": "complex"}, TensorTask())


def test_whole_number_outputs_stay_whole(make_handler):
    handler = make_handler("shape_net", {"kind": "int"}, TensorTask())
    assert handler.answer([one([1.9, 2])])[0].body == b'{"outputs":[1,2]}'
    assert handler.tensor_outputs()[0]["datatype"] == "INT64"


def golden_of(handler, response):
    made = handler.make_example()
    example = Example(content_type=made.content_type, body=bytes(made.body), response=response)
    return Golden(source="made", examples=[example])


def test_golden_examples_that_differ_are_refused_with_every_difference(fragile):
    with pytest.raises(GoldenMismatchError) as caught:
        fragile.check_golden(golden_of(fragile, {"outputs": [5, 6]}))
    assert len(caught.value.problems) == 2
    assert "example 0: $.outputs[0]: expected 5 ± 0.0001" in str(caught.value)


def test_a_golden_example_that_is_refused_says_why(fragile):
    example = Example(content_type="application/json", body=b"{", response={})
    with pytest.raises(GoldenMismatchError, match="example 0: refused, Unexpected end"):
        fragile.check_golden(Golden(source="made", examples=[example]))


def test_a_device_without_a_tolerance_is_refused(fragile):
    golden = golden_of(fragile, {}).model_copy(update={"tolerances": {"tpu/float32": 1.0}})
    with pytest.raises(GoldenMismatchError, match="no tolerance for cpu/float32"):
        fragile.check_golden(golden)


# Inside TorchServe's own loader, service and message format.


def test_a_worker_answers_over_torchserve_s_protocol(worker):
    received = worker.post(b'{"inputs": [1, 2, 3, 4]}')
    assert (received.status, received.content_type) == (200, "application/json")
    assert received.headers["X-Model-Version"] == "1.0"
    assert received.headers["X-Model-Digest"] == "d" * 64
    module = load_checkpoint(worker.folder / "checkpoint.pt").build()
    expected = module(torch.tensor([[1.0, 2, 3, 4]]))[0].tolist()
    np.testing.assert_allclose(received.json["outputs"], expected, atol=1e-6)


def test_statuses_are_per_request_in_one_batch(worker):
    received = worker.send(
        worker.posted(b'{"inputs": [1, 2, 3, 4]}'), worker.posted(b"{"), worker.posted(b"GIF89a", "image/gif")
    )
    assert [each.status for each in received] == [200, 400, 415]
    assert [each.headers["X-Model-Version"] for each in received] == ["1.0"] * 3


def test_json_reaches_the_handler_as_bytes(worker):
    assert "character" in worker.post(b'{"inputs": [1, 2,, 3]}').json["detail"]


@pytest.mark.parametrize("url_path", ["v1", "v2"])
def test_the_url_s_form_is_told_by_a_header(worker, url_path):
    instances = b'{"instances": [[1, 2, 3, 4]]}'
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    tensors = json.dumps({"id": "a", "inputs": [tensor]}).encode()
    received = worker.post(instances if url_path == "v1" else tensors, url_path=url_path)
    assert received.status == 200
    assert ("predictions" if url_path == "v1" else "outputs") in received.json


def test_v2_errors_have_the_protocol_s_member(worker):
    received = worker.post(b"{}", url_path="v2")
    assert received.status == 400
    assert "inputs: Field required" in received.json["error"]


def test_a_worker_that_cannot_start_tells_the_supervisor_why(make_version, load_worker):
    private = make_version("simple_net", NET, TensorTask())
    settings = json.loads((private / "statehouse.json").read_bytes())
    Path(settings["version_folder"], "handler.py").write_text("")
    with pytest.raises(RuntimeError, match="ChangedFilesError"):
        load_worker(private, "statehouse.handlers.tensor")
    reason = json.loads((private / "failure.json").read_bytes())
    assert reason["type"] == "ChangedFilesError"
    assert "handler.py: does not belong to the version" in reason["message"]
    assert reason["traceback"] is None


def test_other_reasons_are_told_too(make_version, load_worker):
    private = make_version("simple_net", NET, TensorTask(), architectures=["no_such_module"])
    with pytest.raises(RuntimeError, match="ArchitectureImportError"):
        load_worker(private, "statehouse.handlers.tensor")
    assert json.loads((private / "failure.json").read_bytes())["type"] == "ArchitectureImportError"


def test_a_checkpoint_that_is_none_of_the_version_s_files_is_refused(make_version, load_worker):
    private = make_version("simple_net", NET, TensorTask(), checkpoint="version.json")
    with pytest.raises(RuntimeError, match=r"'version\.json' is not among the files"):
        load_worker(private, "statehouse.handlers.tensor")


def test_another_task_s_handler_is_refused(make_version, load_worker):
    private = make_version("simple_net", NET, TensorTask())
    with pytest.raises(RuntimeError, match="TabularHandler serves TabularTask"):
        load_worker(private, "statehouse.handlers.tabular")


def test_without_settings_torchserve_is_told_why(tmp_path, load_worker):
    with pytest.raises(RuntimeError, match=r"statehouse\.json"):
        load_worker(tmp_path, "statehouse.handlers.tensor")


def test_a_golden_example_that_no_longer_holds_stops_the_worker(make_version, load_worker, write_settings):
    private = make_version("simple_net", NET, TensorTask())
    folder = Path(json.loads((private / "statehouse.json").read_bytes())["version_folder"])
    golden = json.loads((folder / "golden.json").read_bytes())
    golden["examples"][0]["response"]["outputs"][0] += 1
    (folder / "golden.json").write_text(json.dumps(golden))
    write_settings(private, folder)
    with pytest.raises(RuntimeError, match="GoldenMismatchError"):
        load_worker(private, "statehouse.handlers.tensor")
    assert "$.outputs[0]: expected" in json.loads((private / "failure.json").read_bytes())["message"]


def test_rows_that_depend_on_each_other_stop_the_worker_though_their_golden_examples_hold(
    make_version, load_worker
):
    """An earlier build published it."""
    private = make_version("batch_softmax_net", {"size": 3}, TensorTask())
    with pytest.raises(RuntimeError, match="DependentRowsError"):
        load_worker(private, "statehouse.handlers.tensor")
    assert "axis 0" in json.loads((private / "failure.json").read_bytes())["message"]


def test_rows_that_are_computed_alone_depend_on_none(make_version, load_worker):
    private = make_version("batch_softmax_net", {"size": 3}, TensorTask(rows_per_batch=1))
    load_worker(private, "statehouse.handlers.tensor")


def test_importing_the_base_does_not_import_prometheus_client():
    code = "import sys, statehouse.handlers.tensor; sys.exit('prometheus_client' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(root / "src")}
        ).returncode
        == 0
    )


def test_two_tasks_may_serve_one_module(make_handler):
    images = ImageClassificationTask(
        labels=["a", "b", "c"], height=2, width=2, mode="greyscale", mean=[0.0], std=[1.0]
    )
    assert (
        make_handler("simple_net", NET, images)
        .answer([make_handler("simple_net", NET, images).make_example()])[0]
        .status
        == 200
    )
