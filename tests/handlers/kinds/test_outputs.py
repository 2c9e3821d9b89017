"""What a module returns to named outputs and answers."""

from __future__ import annotations

import io
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from statehouse.handlers.errors import ModuleMismatchError, NonFiniteOutputError
from statehouse.handlers.kinds.outputs import NamedOutput, named_output, taken
from statehouse.models.tasks.output_kinds import EmbeddingOutput, ImageOutput, TensorOutput, ValueOutput

Y = torch.ones(2, 3)
Pair = namedtuple("Pair", "y z")


def output(source: str | None = None, name: str = "y") -> NamedOutput:
    return named_output(name, TensorOutput(source=source))


@pytest.mark.parametrize(
    ("returned", "source"),
    [
        (Y, None),
        ({"y": Y, "z": 1}, None),
        (Pair(Y, 1), None),
        ((1, Y), "1"),
        ({"heads": [{"risk": Y}]}, "heads.0.risk"),
    ],
)
def test_it_is_found_where_it_is_said_to_be(returned: Any, source: str | None) -> None:
    assert taken(returned, [output(source)], 2)["y"] is Y


@pytest.mark.parametrize(
    ("returned", "source", "told"),
    [
        (Y[:1], None, "answers 2 rows with a tensor of \\[1, 3\\]"),
        (torch.tensor(1.0), None, "first axis counts the rows"),
        ([Y], None, "say its place"),
        ({"heads": {}}, "heads.risk", "heads.risk is not in a dict"),
        ((Y,), "7", "7 is not in a tuple of 1"),
        ({"y": "text"}, None, "with str"),
    ],
)
def test_what_is_not_there_is_told(returned: Any, source: str | None, told: str) -> None:
    with pytest.raises(ModuleMismatchError, match=told):
        taken(returned, [output(source)], 2)


def test_a_tensor_for_two_outputs_is_neither() -> None:
    with pytest.raises(ModuleMismatchError, match=r"'y'.*; output 'z'"):
        taken(Y, [output(), output(name="z")], 2)


def test_values_have_names_and_units() -> None:
    named = named_output("y", ValueOutput(names=["a", "b"], mean=[1.0, 10.0], std=2.0))
    arrays = named.arrays(torch.tensor([[1.0, 2.0]]))
    assert named.answers(arrays) == [{"a": 3.0, "b": 14.0}]
    with pytest.raises(ModuleMismatchError, match="expected 2 number"):
        named.arrays(torch.ones(1, 3))


def test_a_vector_is_normalised_unless_said_otherwise() -> None:
    vector = torch.tensor([[3.0, 4.0]])
    assert named_output("y", EmbeddingOutput()).arrays(vector)[""].tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)]
    ]
    assert named_output("y", EmbeddingOutput(normalise=False)).arrays(vector)[""].tolist() == [[3.0, 4.0]]
    with pytest.raises(ModuleMismatchError, match="expected a vector"):
        named_output("y", EmbeddingOutput()).arrays(torch.ones(1, 2, 2))


def test_an_image_is_scaled_from_its_range_and_clipped() -> None:
    picture = named_output("y", ImageOutput(minimum=-1.0, maximum=1.0))
    [file] = picture.arrays(torch.tensor([[[[-3.0, -1.0, 0.0, 1.0, 3.0]]]]))[""]
    assert np.asarray(Image.open(io.BytesIO(file))).tolist() == [[0, 0, 128, 255, 255]]
    with pytest.raises(ModuleMismatchError, match="1 or 3"):
        picture.arrays(torch.ones(1, 2, 4, 4))
    with pytest.raises(NonFiniteOutputError, match="pixels that are NaN"):
        picture.arrays(torch.full((1, 1, 4, 4), float("nan")))


def test_rows_of_unequal_sizes_are_told_where_one_size_is_needed() -> None:
    unequal = [torch.ones(2), torch.ones(3)]
    with pytest.raises(ModuleMismatchError, match=r"\[2\] and \[3\]"):
        named_output("y", EmbeddingOutput()).arrays(unequal)
    assert [len(each) for each in output().arrays(unequal)[""]] == [2, 3]
