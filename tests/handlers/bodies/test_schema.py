"""JSON Schemas of rows and answers."""

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from statehouse.handlers.bodies.schema import array_schema, object_schema


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("?", "boolean"), ("f4", "number"), ("f8", "number"), ("i8", "integer"), ("u1", "integer")],
)
def test_the_kind_of_an_array_s_numbers(dtype, kind):
    assert array_schema((), np.dtype(dtype)) == {"type": kind}


def test_an_array_is_lists_in_lists_of_its_shape():
    schema = Draft202012Validator(array_schema((2, 3), np.dtype("f4")))
    assert schema.is_valid(np.zeros((2, 3)).tolist())
    for shape in ((3, 2), (2, 3, 1), (2,), (2, 2), (2, 4)):
        assert not schema.is_valid(np.zeros(shape).tolist())
    assert not schema.is_valid([["1", 2, 3], [1, 2, 3]])


def test_an_object_has_exactly_its_members():
    schema = Draft202012Validator(object_schema({"a": {"type": "integer"}, "b": {}}))
    assert schema.is_valid({"a": 1, "b": None})
    for other in ({"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": "1", "b": 2}, [1, 2]):
        assert not schema.is_valid(other)
