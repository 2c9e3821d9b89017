"""Named features by other ways than JSON; that they mean the same rows is in test_table.py."""

import numpy as np
import pytest

from statehouse.handlers.bodies.inference_tensors import InputTensor
from statehouse.handlers.errors import BrokenTextError, InvalidInputError
from statehouse.handlers.features.forms import (
    NUMERIC_DATATYPES,
    feature_schema,
    feature_tensors,
    made_row,
    row_of_parts,
    rows_of_tensors,
)
from statehouse.handlers.request import Part
from statehouse.models import CategoricalFeature, NumericFeature

FEATURES = {
    "age": NumericFeature(name="age", mean=40.0, std=10.0, minimum=0.0),
    "colour": CategoricalFeature(name="colour", categories=["red", "grün"]),
}


def numbers(values, datatype="FP64", name="age"):
    return InputTensor(name, datatype, np.shape(values), np.array(values))


def texts(values, shape=None, name="colour"):
    return InputTensor(name, "BYTES", (len(values),) if shape is None else shape, values)


def rows(*tensors):
    return rows_of_tensors({tensor.name: tensor for tensor in tensors}, FEATURES)


def test_the_schema_of_a_row_has_the_bounds_that_there_are():
    assert feature_schema(FEATURES)["properties"] == {
        "age": {"type": "number", "minimum": 0.0},
        "colour": {"type": "string", "enum": ["red", "grün"]},
    }


def test_a_tensor_for_each_feature():
    assert feature_tensors(FEATURES) == [
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "colour", "datatype": "BYTES", "shape": [-1]},
    ]


def test_rows_are_in_the_order_of_the_features():
    found = rows(texts([b"gr\xc3\xbcn", "red"]), numbers([1.5, 2.5]))
    assert found == [{"age": 1.5, "colour": "grün"}, {"age": 2.5, "colour": "red"}]
    assert list(found[0]) == ["age", "colour"]
    assert rows(texts(["red"], (1, 1)), numbers([[7]], "INT8")) == [{"age": 7, "colour": "red"}]


@pytest.mark.parametrize("datatype", NUMERIC_DATATYPES)
def test_numbers_may_be_of_any_kind(datatype):
    assert rows(texts(["red"]), numbers([3], datatype))[0]["age"] == 3


def test_every_wrong_tensor_is_named():
    with pytest.raises(InvalidInputError) as caught:
        rows(texts(["3"], name="age"), numbers([1.0], name="colour"), numbers([1.0], name="weight"))
    assert [error["detail"] for error in caught.value.errors] == [
        "input 'weight' is unknown; this model has age, colour.",
        "input 'age' is BYTES of [1]; expected FP64 or FP32 of [1], as many rows as the first input.",
        "input 'colour' is FP64 of [1]; expected BYTES of [1], as many rows as the first input.",
    ]
    with pytest.raises(InvalidInputError, match=r"^input 'colour' is missing\.$"):
        rows(numbers([1.0]))


@pytest.mark.parametrize("shape", [(3,), (2, 2), (1, 2), ()])
def test_all_have_as_many_rows_as_the_first(shape):
    with pytest.raises(InvalidInputError, match=r"input 'colour' is BYTES of .*; expected BYTES of \[2\]"):
        rows(numbers([1.0, 2.0]), texts(["red", "red"], shape))


def test_no_rows_are_none():
    assert rows(numbers([]), texts([], (0,))) == []


def test_a_category_that_is_no_text_is_told():
    with pytest.raises(BrokenTextError):
        rows(numbers([1.0]), texts([b"\xff"]))


def test_fields_of_a_form_are_numbers_where_they_can_be():
    parts = {"age": Part(b" 4e1"), "colour": Part("grün".encode()), "other": Part(b"5")}
    assert row_of_parts(parts, FEATURES) == {"age": 40.0, "colour": "grün", "other": "5"}
    assert row_of_parts({"age": Part(b"old")}, FEATURES) == {"age": "old"}
    with pytest.raises(BrokenTextError):
        row_of_parts({"age": Part(b"\xff")}, FEATURES)


def test_a_made_row_lies_within_the_bounds_and_is_the_same_for_its_seed():
    narrow = {
        "low": NumericFeature(name="low", mean=0.0, minimum=5.0),
        "high": NumericFeature(name="high", mean=0.0, maximum=-5.0),
        **FEATURES,
    }
    made = [made_row(narrow, seed) for seed in range(20)]
    assert all((row["low"], row["high"]) == (5.0, -5.0) for row in made)
    assert {row["colour"] for row in made} == {"red", "grün"}
    assert len({row["age"] for row in made}) == 20
    assert made_row(narrow, 3) == made[3]
