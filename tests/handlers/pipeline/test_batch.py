import numpy as np
import pytest
import torch

from statehouse.handlers.errors import InferenceFailedError, NonFiniteOutputError, OutOfMemoryError
from statehouse.handlers.pipeline.batch import describe_fault, run_batch
from statehouse.handlers.pipeline.observer import Observer


class Doubling:
    """The smallest pipeline: doubles its rows, and cannot stand a 13."""

    def __init__(self):
        self.sizes = []

    def preprocess(self, rows):
        self.sizes.append(len(rows))
        return torch.from_numpy(rows)

    def inference(self, inputs):
        if (inputs == 13).any():
            raise ValueError("nothing for 13")
        return inputs * 2

    def postprocess(self, outputs):
        return {"value": outputs.numpy()}


def row(*values):
    return np.array(values, dtype=np.float32)


def test_requests_share_a_pass_and_get_their_own_rows():
    pipeline = Doubling()
    results = run_batch(pipeline, [row(1), row(2, 3)], Observer())
    assert [result.own()["value"].tolist() for result in results] == [[2], [4, 6]]
    assert pipeline.sizes == [3]


def test_no_requests_are_no_pass():
    pipeline = Doubling()
    assert run_batch(pipeline, [], Observer()) == []
    assert pipeline.sizes == []


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_culprit_costs_one_more_pass_per_request(place):
    requests = [row(1), row(2), row(3)]
    requests[place] = row(13)
    pipeline = Doubling()
    results = run_batch(pipeline, requests, Observer())
    assert [isinstance(result, InferenceFailedError) for result in results] == [i == place for i in range(3)]
    assert "ValueError: nothing for 13" in results[place].detail
    assert pipeline.sizes == [3, 1, 1, 1]


def test_memory_that_is_short_is_told_as_that_and_costs_nobody_else():
    class Hungry(Doubling):
        def inference(self, inputs):
            if (inputs == 14).any():
                torch.empty(1 << 60)
            return super().inference(inputs)

    results = run_batch(Hungry(), [row(1), row(14), row(13)], Observer())
    assert results[0].own()["value"].tolist() == [2]
    assert isinstance(results[1], OutOfMemoryError)
    assert "can't allocate memory" in results[1].detail
    assert not isinstance(results[2], OutOfMemoryError)


def test_infinite_rows_are_counted_per_request():
    one, two = run_batch(Doubling(), [row(1), row(2, np.inf, np.nan)], Observer())
    assert one.own()["value"].tolist() == [2]
    assert isinstance(two, NonFiniteOutputError)
    assert two.errors == [{"row": 1}, {"row": 2}]


def test_a_fault_is_one_line_with_its_place():
    with pytest.raises(ValueError) as caught:
        int("first\nsecond")
    told = describe_fault(caught.value)
    assert told.startswith("ValueError: invalid literal")
    assert "test_batch.py:" in told
    assert "\n" not in told
