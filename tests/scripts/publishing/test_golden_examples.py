"""Golden examples when a version is published: where they come from, and what is wrong with some."""

from __future__ import annotations

import json

import pytest
import torch

from statehouse.handlers.base import handler_of
from statehouse.models import TensorTask, build_model
from statehouse.models.example import Example
from statehouse.scripts.errors import ExampleFileError
from statehouse.scripts.publishing import golden_examples
from statehouse.scripts.publishing.golden_examples import (
    Candidate,
    answer_candidates,
    collect_candidates,
    read_example_file,
)

ROW = Example(content_type="application/json", body=b'{"inputs": [1, 2]}')


@pytest.fixture
def handler():
    """Answers the sum of two numbers."""
    handler = handler_of("tensor")()
    handler.task = TensorTask(input_shape=[2])
    net = build_model("mlp", {"input_size": 2, "hidden_sizes": [], "output_size": 1})
    with torch.no_grad():
        net.layers[0].weight.fill_(1)
        net.layers[0].bias.zero_()
    handler.take(net, None, torch.device("cpu"))
    return handler


def candidate(**changed):
    return Candidate("the example", ROW.model_copy(update=changed))


def test_a_file_is_one_request_s_body(tmp_path, monkeypatch):
    (tmp_path / "body").write_bytes(b"[1]")
    assert read_example_file(tmp_path / "body") == b"[1]"
    with pytest.raises(ExampleFileError, match=r"absent cannot be read: No such file or directory\."):
        read_example_file(tmp_path / "absent")
    (tmp_path / "empty").touch()
    with pytest.raises(
        ExampleFileError, match=r"empty has 0 bytes; expected one request's body, 1 to 16777216"
    ):
        read_example_file(tmp_path / "empty")
    monkeypatch.setattr(golden_examples, "MAX_EXAMPLE_BYTES", 2)
    with pytest.raises(ExampleFileError, match="body has 3 bytes; expected"):
        read_example_file(tmp_path / "body")


def test_the_checkpoint_s_own_come_before_those_of_files(handler, tmp_path):
    (tmp_path / "a.json").write_bytes(ROW.body)
    own = [ROW.model_copy(update={"content_type": "Application/JSON; charset=utf-8"})]
    source, found = collect_candidates(handler, own, [tmp_path / "a.json"])
    assert source == "file"
    assert [each.origin for each in found] == ["example 0 of the checkpoint", str(tmp_path / "a.json")]
    assert [each.example.content_type for each in found] == ["application/json"] * 2
    assert collect_candidates(handler, own, [])[0] == "checkpoint"


def test_without_any_one_is_made(handler):
    source, [made] = collect_candidates(handler, [], [])
    assert (source, made.origin) == ("made", "the example made from the input schema")
    assert collect_candidates(handler, [], [])[1] == [made]


def test_raw_numbers_in_a_file_are_known_by_their_length(handler, tmp_path):
    (tmp_path / "raw").write_bytes(torch.tensor([1.0, 2.0]).numpy().tobytes())
    _, [found] = collect_candidates(handler, [], [tmp_path / "raw"])
    assert found.example.content_type == "application/octet-stream"


def test_they_are_answered_by_the_model_itself(handler):
    golden, problems = answer_candidates(handler, "file", [candidate()])
    assert problems == []
    assert golden.source == "file"
    assert golden.examples == [ROW.model_copy(update={"response": {"outputs": [3.0]}})]


def test_every_one_that_is_refused_is_told(handler):
    golden, problems = answer_candidates(
        handler, "file", [candidate(body=b"[1]"), candidate(), candidate(body=b'{"inputs": [1]}')]
    )
    assert golden is None
    assert len(problems) == 2
    assert problems[0].startswith("the example: is answered 400: ")
    assert problems[1].startswith("the example: is answered 422: ")


def test_a_response_that_is_stated_must_be_given(handler):
    stated = {"outputs": [3.00001]}
    assert answer_candidates(handler, "checkpoint", [candidate(response=stated)])[1] == []
    golden, [problem] = answer_candidates(handler, "checkpoint", [candidate(response={"outputs": [4.0]})])
    assert golden is None
    assert problem == (
        "the example: does not get the response that it states: $.outputs[0]: expected 4.0 ± 0.0001, got 3.0"
    )


def test_a_model_that_answers_differently_each_time_has_none(handler):
    answer = handler.answer
    times = iter(range(10))

    def drifting(requests):
        [response] = answer(requests)
        response.body = json.dumps({"outputs": [float(next(times))]}).encode()
        return [response]

    handler.answer = drifting
    golden, problems = answer_candidates(handler, "made", [candidate()])
    assert golden is None
    assert problems[0].startswith("the model answers the same request differently each time: ")


def test_where_nothing_says_how_near_is_near_there_are_none(handler):
    handler.dtype = torch.float8_e4m3fn
    golden, [problem] = answer_candidates(handler, "made", [candidate()])
    assert golden is None
    assert problem.startswith(
        "nothing says how near answers on cpu/float8_e4m3fn must be; expected one of cpu/"
    )
