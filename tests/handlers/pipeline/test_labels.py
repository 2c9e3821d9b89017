import numpy as np
import pytest
import torch

from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.pipeline.labels import class_answers, class_outputs, class_schema, value_outputs

LABELS = ["a", "b", "c"]


def test_scores_are_the_softmax_and_the_label_is_the_best():
    outputs = class_outputs(torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 0.0]]), LABELS)
    np.testing.assert_allclose(outputs["scores"].sum(axis=1), 1, rtol=1e-6)
    assert outputs["label"].tolist() == ["b", "a"]
    np.testing.assert_array_equal(outputs["score"], outputs["scores"].max(axis=1))


@pytest.mark.parametrize(("top_k", "expected"), [(1, ["b"]), (2, ["b", "c"]), (9, ["b", "c", "a"])])
def test_the_ranking_is_as_long_as_asked_for_and_possible(top_k, expected):
    [answer] = class_answers(class_outputs(torch.tensor([[1.0, 3.0, 2.0]]), LABELS), LABELS, top_k)
    assert [entry["label"] for entry in answer["top_k"]] == expected
    assert class_schema(LABELS, top_k)["properties"]["top_k"]["maxItems"] == len(expected)


def test_ties_keep_the_labels_order():
    [answer] = class_answers(class_outputs(torch.zeros(1, 3), LABELS), LABELS, 3)
    assert [entry["label"] for entry in answer["top_k"]] == LABELS


def test_half_precision_is_softened_in_float32():
    scores = class_outputs(torch.tensor([[1.0, 3.0, 2.0]], dtype=torch.bfloat16), LABELS)["scores"]
    assert scores.dtype == np.float32
    assert scores.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (2,), (2, 3, 1)])
def test_other_than_one_logit_per_label_is_refused(shape):
    with pytest.raises(ModuleMismatchError, match="one output per label, 3"):
        class_outputs(torch.zeros(shape), LABELS)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 1, 1)])
def test_a_value_is_scaled_to_the_target_s_unit(shape):
    values = value_outputs(torch.tensor([1.0, -1.0]).reshape(shape), mean=100.0, std=10.0)["value"]
    assert values.tolist() == [110, 90]


def test_a_value_beyond_float32_is_infinite_and_so_refused_later():
    assert np.isinf(value_outputs(torch.tensor([1e10]), mean=0.0, std=1e30)["value"]).all()


def test_more_than_one_value_per_row_is_refused():
    with pytest.raises(ModuleMismatchError, match=r"gives \[2\] per row"):
        value_outputs(torch.zeros(3, 2), mean=0.0, std=1.0)
