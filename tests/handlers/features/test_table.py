import numpy as np
import pytest

from statehouse.handlers.bodies.inference_tensors import InputTensor
from statehouse.handlers.errors import BrokenTextError, InvalidInputError
from statehouse.handlers.features.forms import (
    feature_schema,
    feature_tensors,
    made_row,
    row_of_parts,
    rows_of_tensors,
)
from statehouse.handlers.features.table import FeatureTable
from statehouse.handlers.request import Part
from statehouse.models import CategoricalFeature, NumericFeature, TabularTask

TASK = TabularTask(
    kind="regression",
    features=[
        CategoricalFeature(name="colour", categories=["red", "green", "blue"]),
        NumericFeature(name="age", mean=40.0, std=10.0, minimum=0.0, maximum=150.0),
        CategoricalFeature(name="size", categories=["s", "l"]),
        NumericFeature(name="income", mean=1e9, std=2.0),
    ],
)
TABLE = FeatureTable(TASK)
ROW = {"income": 1e9 + 4, "colour": "green", "age": 30, "size": "l"}


def test_columns_follow_the_task_s_order_whatever_the_row_s():
    np.testing.assert_array_equal(TABLE.read(ROW), [0, 1, 0, 30, 0, 1, 1e9 + 4])


def test_standardising_is_exact_for_large_numbers_too():
    np.testing.assert_array_equal(TABLE.standardise(TABLE.read(ROW)), [0, 1, 0, -1, 0, 1, 2])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"age": "30"}, "'age' is '30' .text.; expected a number"),
        ({"age": True}, "'age' is True"),
        ({"age": None}, "'age' is None .null."),
        ({"age": -1}, "expected at least 0"),
        ({"age": 151}, "expected at most 150"),
        ({"income": float("nan")}, "expected a finite number"),
        ({"income": float("inf")}, "expected a finite number"),
        ({"income": 1e39}, "float32"),
        ({"colour": "gren"}, "did you mean 'green'"),
        ({"colour": 1}, "'colour' is 1 .a number.; expected one of 'red', 'green', 'blue'"),
        ({"colour": ["red"]}, "a list"),
        ({"heat": 3}, "'heat' is unknown"),
    ],
)
def test_a_wrong_value_says_what_was_expected(changed, message):
    with pytest.raises(InvalidInputError, match=message):
        TABLE.read(ROW | changed)


def test_all_problems_of_a_row_are_told_at_once():
    with pytest.raises(InvalidInputError) as caught:
        TABLE.read({"colour": "pink", "agee": 1, "income": "much"})
    told = [error["detail"] for error in caught.value.errors]
    assert told[:2] == ["'agee' is unknown (did you mean 'age'?)", "'size' is missing"]
    assert "'pink'" in told[2]
    assert "'much'" in told[3]
    assert str(caught.value) == f"The features do not fit, for 4 reasons; the first: {told[0]}."


def test_a_few_problems_are_told_in_the_detail_and_only_there():
    with pytest.raises(InvalidInputError) as caught:
        TABLE.read(ROW | {"age": -1, "colour": "pink"})
    assert "'pink'" in str(caught.value)
    assert "at least 0" in str(caught.value)
    assert not caught.value.errors


@pytest.mark.parametrize("row", [None, 3, [1, 2], "text"])
def test_a_row_is_an_object(row):
    with pytest.raises(InvalidInputError, match="expected an object with the features 'colour'"):
        TABLE.read(row)


def test_hundreds_of_unknown_features_make_a_short_message():
    with pytest.raises(InvalidInputError) as caught:
        TABLE.read({f"feature {i}": i for i in range(5000)})
    assert len(str(caught.value)) < 3000


def test_one_tensor_per_feature_becomes_rows():
    tensors = {
        "age": InputTensor("age", "FP32", (2, 1), np.array([[1.5], [2]], "f4")),
        "income": InputTensor("income", "INT64", (2,), np.array([3, 4])),
        "colour": InputTensor("colour", "BYTES", (2,), [b"red", b"blue"]),
        "size": InputTensor("size", "BYTES", (2, 1), ["s", "l"]),
    }
    assert rows_of_tensors(tensors, TABLE.features) == [
        {"age": 1.5, "income": 3, "colour": "red", "size": "s"},
        {"age": 2.0, "income": 4, "colour": "blue", "size": "l"},
    ]


def test_tensors_that_do_not_fit_are_all_named():
    tensors = {
        "age": InputTensor("age", "FP32", (2,), np.zeros(2, "f4")),
        "income": InputTensor("income", "BYTES", (2,), ["1", "2"]),
        "colour": InputTensor("colour", "BYTES", (3,), ["red"] * 3),
        "shape": InputTensor("shape", "BYTES", (2,), ["s", "l"]),
    }
    with pytest.raises(InvalidInputError) as caught:
        rows_of_tensors(tensors, TABLE.features)
    for name in ("size", "shape", "income", "colour"):
        assert f"'{name}'" in str(caught.value)


def test_no_known_tensor_at_all_is_an_error_too():
    with pytest.raises(InvalidInputError, match="'age' is missing"):
        rows_of_tensors({}, TABLE.features)


def test_a_form_s_text_becomes_numbers_where_numbers_are_wanted():
    parts = {"age": Part(b"30"), "income": Part(b"1e9"), "colour": Part(b"red"), "size": Part(b"huge")}
    row = row_of_parts(parts, TABLE.features)
    assert row == {"age": 30.0, "income": 1e9, "colour": "red", "size": "huge"}


def test_a_form_s_text_is_utf_8():
    with pytest.raises(BrokenTextError):
        row_of_parts({"colour": Part(b"\xff")}, TABLE.features)


def test_a_form_s_nan_is_no_number():
    with pytest.raises(InvalidInputError, match="finite"):
        TABLE.read(ROW | row_of_parts({"age": Part(b"nan")}, TABLE.features))


@pytest.mark.parametrize("seed", range(20))
def test_made_rows_are_always_accepted(seed):
    row = made_row(TABLE.features, seed)
    TABLE.read(row)
    assert row == made_row(TABLE.features, seed)


def test_the_schema_and_metadata_say_what_is_wanted():
    schema = feature_schema(TABLE.features)
    assert schema["properties"]["age"] == {"type": "number", "minimum": 0.0, "maximum": 150.0}
    assert schema["properties"]["size"] == {"type": "string", "enum": ["s", "l"]}
    assert schema["required"] == ["colour", "age", "size", "income"]
    assert feature_tensors(TABLE.features)[1] == {"name": "age", "datatype": "FP64", "shape": [-1]}
