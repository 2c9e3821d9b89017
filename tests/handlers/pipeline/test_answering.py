"""From requests to responses, whatever the task: what is wrong with one request is told to it alone."""

import json
from contextlib import contextmanager

import pytest
import torch

from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.pipeline.answering import _require_rows, unexpected
from statehouse.handlers.pipeline.observer import Observer
from statehouse.handlers.request import Request
from statehouse.models import TensorTask

CONFIG = {"input_size": 2, "hidden_size": 3, "num_classes": 1}


class Seen(Observer):
    def __init__(self):
        self.told = []

    @contextmanager
    def phase(self, name):
        self.told.append(name)
        yield

    def rows(self, count):
        self.told.append(count)


@pytest.fixture
def handler(make_handler):
    return make_handler("simple_net", CONFIG, TensorTask())


def requests(*bodies):
    return [Request(json.dumps(body).encode(), "application/json") for body in bodies]


def answers(responses):
    return [(response.status, json.loads(response.body)) for response in responses]


def test_each_request_has_its_answer_in_order_and_the_version_s_name(handler):
    alone = [
        answers(handler.answer(requests(body)))[0] for body in ({"inputs": [1, 2]}, {"instances": [[3, 4]]})
    ]
    responses = handler.answer(requests({"inputs": [1, 2]}, {"inputs": [1]}, {"instances": [[3, 4]]}))
    told = answers(responses)
    assert [status for status, _ in told] == [200, 422, 200]
    assert told[0][1]["outputs"] == pytest.approx(alone[0][1]["outputs"])
    assert told[2][1]["predictions"][0]["outputs"] == pytest.approx(alone[1][1]["predictions"][0]["outputs"])
    for response in responses:
        assert response.headers["X-Model-Version"] == "1.0"
        assert response.headers["X-Model-Digest"] == "d" * 64


def test_no_requests_have_no_answers(handler):
    assert handler.answer([]) == []


def test_the_phases_are_watched_and_the_rows_counted(handler):
    seen = Seen()
    handler.answer(requests({"instances": [[1, 2], [3, 4]]}, {"inputs": "x"}, {"inputs": [1, 2]}), seen)
    assert seen.told == ["decode", 3, "preprocess", "inference", "postprocess", "postprocess"]


def test_a_number_that_is_not_finite_is_told_to_its_request_alone(handler):
    told = answers(handler.answer(requests({"inputs": [1, 2]}, {"inputs": [1e39, 2]}, {"inputs": [3, 4]})))
    assert [status for status, _ in told] == [200, 422, 200]
    assert "float32" in told[1][1]["detail"]


def test_a_fault_of_ours_in_one_request_reaches_no_other(handler, monkeypatch, caplog):
    read = handler.row_from_value
    monkeypatch.setattr(handler, "quick", None)
    monkeypatch.setattr(
        handler, "row_from_value", lambda value: read(value) if value[0] else {}["a secret of ours"]
    )
    told = answers(handler.answer(requests({"inputs": [1, 2]}, {"inputs": [0, 2]})))
    assert [status for status, _ in told] == [200, 500]
    assert told[1][1]["detail"] == "An unexpected KeyError; the worker's log has its place."
    assert "unexpected while answering a request: KeyError" in caplog.text
    assert "test_answering.py" in caplog.text


def test_answers_that_cannot_be_made_for_a_batch_are_made_one_by_one(handler, monkeypatch):
    make = handler.row_answers

    def fail_for_negative_ones(outputs):
        if (outputs["output"] < 0).any():
            raise ZeroDivisionError
        return make(outputs)

    monkeypatch.setattr(handler, "row_answers", fail_for_negative_ones)
    handler.module = Sum()
    told = answers(handler.answer(requests({"inputs": [1, 2]}, {"inputs": [-1, -2]}, {"inputs": [3, 4]})))
    assert [(status, document.get("outputs")) for status, document in told] == [
        (200, [3.0]),
        (500, None),
        (200, [7.0]),
    ]


class Sum(torch.nn.Module):
    """Remembers how many rows it was given at once."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        self.counts.append(len(rows))
        return rows.sum(dim=1, keepdim=True)


def test_many_rows_go_through_in_chunks_of_bounded_size(handler):
    handler.module, handler.chunk_rows = Sum(), 4
    rows = torch.arange(20.0).reshape(10, 2)
    assert torch.equal(handler.inference(rows), rows.sum(dim=1, keepdim=True))
    assert handler.module.counts == [4, 4, 2]
    assert torch.equal(handler.inference(rows[:4]), rows[:4].sum(dim=1, keepdim=True))
    assert handler.module.counts[3:] == [4]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (torch.zeros(2, 3), "a tensor of [2, 3]"),
        (torch.tensor(1.0), "a tensor of []"),
        ([1.0] * 3, "list"),
        (None, "NoneType"),
    ],
)
def test_a_module_answers_every_row(output, told):
    with pytest.raises(ModuleMismatchError) as caught:
        _require_rows(output, 3)
    assert str(caught.value) == (
        f"the module answers 3 rows with {told}; expected one tensor whose first axis counts the rows"
    )


def test_what_is_unexpected_says_its_kind_and_no_more():
    assert unexpected(ValueError("secret")).detail == (
        "An unexpected ValueError; the worker's log has its place."
    )
