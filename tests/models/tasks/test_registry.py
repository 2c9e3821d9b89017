from __future__ import annotations

import pytest
from pydantic import ValidationError

from statehouse.models.errors import TaskConfigError, UnknownTaskError
from statehouse.models.tasks.registry import (
    CategoricalFeature,
    ImageClassificationTask,
    NumericFeature,
    TabularTask,
    TensorTask,
    parse_task,
    task_names,
)

IMAGE = {
    "labels": ["cat", "dog"],
    "height": 8,
    "width": 8,
    "mode": "rgb",
    "mean": [0.5, 0.5, 0.5],
    "std": [1, 1, 1],
}


def test_task_names():
    assert {"image_classification", "tabular", "tensor", "text_classification", "object_detection"} <= set(
        task_names()
    )


def test_plain_data_and_typed_config_are_one_another():
    for task in (
        ImageClassificationTask(**IMAGE),
        TensorTask(input_shape=[3, 4], dtype="int64"),
        TabularTask(
            kind="classification",
            features=[
                NumericFeature(name="age", mean=40, std=10, minimum=0),
                CategoricalFeature(name="colour", categories=["red", "green"]),
            ],
            labels=["no", "yes"],
        ),
        TabularTask(kind="regression", features=[NumericFeature(name="x")], target_mean=3.0, target_std=2.0),
    ):
        assert "task" not in task.to_plain()
        assert parse_task(task.task, task.to_plain()) == task


def test_a_task_made_wrongly_says_everything_without_pydantic_speaking():
    with pytest.raises(TaskConfigError) as caught:
        ImageClassificationTask(**IMAGE | {"height": 0, "mode": "grey", "lables": []})
    assert str(caught.value).splitlines() == [
        "ImageClassificationTask does not fit:",
        "  height: got 0; input should be greater than 0",
        "  mode: got 'grey'; input should be 'greyscale' or 'rgb'",
        "  lables: is not a field here (did you mean 'labels'?); expected one of: rows_per_batch, "
        "exif_orientation, max_value, task, labels, height, width, mode, resize, interpolation, mean, std, top_k, "
        "outputs",
    ]
    with pytest.raises(
        TaskConfigError, match="NumericFeature does not fit:\n  name: is missing\n  std: got 0"
    ):
        NumericFeature(std=0)
    with pytest.raises(TaskConfigError, match="labels is missing; a classification names one label per"):
        TabularTask(kind="classification", features=[NumericFeature(name="x")])


def test_every_problem_of_every_part_at_once():
    features = [
        {"type": "numeric", "name": "a", "std": 0},
        {"type": "categorical", "nam": "b", "categories": []},
    ]
    with pytest.raises(TaskConfigError) as caught:
        parse_task("tabular", {"kind": "regression", "features": features})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "features[0].numeric.std",
        "features[1].categorical.name",
        "features[1].categorical.categories",
        "features[1].categorical.nam",
    ]
    assert "expected one of" not in caught.value.problems[-1]


def test_width_of_a_row_counts_categories():
    colour = CategoricalFeature(name="colour", categories=["red", "green", "blue"])
    task = TabularTask(kind="regression", features=[NumericFeature(name="age"), colour])
    assert task.width == 4


def test_unknown_task_lists_the_known_ones():
    with pytest.raises(UnknownTaskError, match=r"unknown task 'tabluar'.*did you mean 'tabular'"):
        parse_task("tabluar", {})


def test_every_problem_at_once():
    config = {**IMAGE, "labels": [], "height": 0, "mode": "grey", "std": [0.0], "labls": []}
    with pytest.raises(TaskConfigError) as caught:
        parse_task("image_classification", config)
    fields = {problem.partition(":")[0] for problem in caught.value.problems}
    assert fields == {"labels", "height", "mode", "std[0]", "labls"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"labels": ["a", "b", "a"]}, "labels must differ from each other; repeated: a"),
        ({"mode": "greyscale"}, "mean has 3 values; mode 'greyscale' needs 1"),
        ({"resize": 7}, "resize is 7; needs at least"),
        ({"mean": [0.0, 0.0, float("nan")]}, "nan is not a finite number"),
        ({"top_k": 0}, "top_k: got 0"),
    ],
)
def test_image_fields_that_do_not_fit(change, expected):
    with pytest.raises(TaskConfigError, match=expected):
        parse_task("image_classification", {**IMAGE, **change})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"labels": None}, "labels is missing"),
        ({"target_mean": 3.0}, "belong to a regression"),
        ({"kind": "regression"}, "labels belong to a classification"),
        ({"features": []}, "features"),
        ({"features": [{"type": "numeric", "name": "a"}, {"type": "numeric", "name": "a"}]}, "repeated: a"),
        ({"features": [{"type": "number", "name": "a"}]}, "'numeric', 'categorical'"),
        ({"features": [{"type": "numeric", "name": "a", "std": 0}]}, r"features\[0\].numeric.std: got 0"),
        (
            {"features": [{"type": "numeric", "name": "a", "minimum": 2, "maximum": 1}]},
            "minimum 2.0 is above",
        ),
        ({"features": [{"type": "categorical", "name": "a", "categories": ["x", "x"]}]}, "repeated: x"),
    ],
)
def test_tabular_fields_that_do_not_fit(change, expected):
    config = {"kind": "classification", "features": [{"type": "numeric", "name": "a"}], "labels": ["n", "y"]}
    with pytest.raises(TaskConfigError, match=expected):
        parse_task("tabular", {**config, **change})


def test_a_config_does_not_change_after_reading():
    task = TensorTask()
    with pytest.raises(ValidationError):
        task.dtype = "int64"
