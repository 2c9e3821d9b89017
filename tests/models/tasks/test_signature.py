"""A signature's config: each kind's own fields, every problem at once, and the same plain data back."""

from __future__ import annotations

from typing import Any

import pytest

from statehouse.models.errors import TaskConfigError
from statehouse.models.tasks.registry import SignatureTask, parse_task

INPUTS: dict[str, Any] = {
    "photo": {"kind": "image", "height": 8, "width": 8},
    "series": {"kind": "tensor", "shape": ["time", None, 3], "pad": {"value": 1.0}, "default": [[[1, 2, 3]]]},
    "patient": {"kind": "features", "features": [{"type": "numeric", "name": "age"}]},
}
OUTPUTS: dict[str, Any] = {"risk": {"kind": "labels", "labels": ["a", "b"], "multi": True}}


def problems(inputs: Any = INPUTS, outputs: Any = OUTPUTS) -> str:
    with pytest.raises(TaskConfigError) as raised:
        parse_task("signature", {"inputs": inputs, "outputs": outputs})
    return str(raised.value)


def test_what_is_read_again_is_the_same() -> None:
    task = parse_task("signature", {"inputs": INPUTS, "outputs": OUTPUTS})
    assert isinstance(task, SignatureTask)
    assert parse_task("signature", task.to_plain()).to_plain() == task.to_plain()
    assert set(task.input_configs) == set(INPUTS)


def test_fields_that_are_as_usual_are_not_in_the_plain_data() -> None:
    said = SignatureTask(inputs={"x": {"kind": "tensor", "shape": [2], "dtype": "float32"}}, outputs=OUTPUTS)
    unsaid = SignatureTask(inputs={"x": {"kind": "tensor", "shape": [2]}}, outputs=OUTPUTS)
    assert said.to_plain() == unsaid.to_plain()
    assert said.to_plain()["inputs"]["x"] == {"kind": "tensor", "shape": [2]}


def test_everything_wrong_is_told_with_its_place() -> None:
    told = problems(
        {"photo": {"kind": "imag"}, "x": {"kind": "tensor", "shpe": [2]}, "y": {}},
        {"z": {"kind": "labels", "labels": ["a", "a"]}},
    )
    for expected in (
        "inputs.photo.kind: 'imag' (did you mean 'image'?)",
        "inputs.x.shape: is missing",
        "inputs.x.shpe",
        "inputs.y.kind: None",
        "outputs.z",
        "repeated: a",
        "under `architectures`",
    ):
        assert expected in told


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"kind": "tensor", "shape": [2], "pad": {}}, "a shape with a free dimension"),
        ({"kind": "tensor", "shape": [2], "minimum": 2.0, "maximum": 1.0}, "above maximum"),
        ({"kind": "tensor", "shape": [0]}, "shape"),
        ({"kind": "tensor", "shape": [2], "dtype": "complex64"}, "dtype"),
        ({"kind": "image", "height": 8, "width": 8, "mean": [0.5]}, "needs 3"),
        ({"kind": "image", "height": 8, "width": 8, "resize": 4}, "to cut from"),
        ({"kind": "features", "features": [{"type": "numeric", "name": "a"}] * 2}, "repeated: a"),
    ],
)
def test_fields_of_an_input_that_do_not_fit(config: dict[str, Any], told: str) -> None:
    assert told in problems({"x": config})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"kind": "value", "names": ["a", "b"], "mean": [1.0]}, "expected one, or 2"),
        ({"kind": "image", "minimum": 1.0, "maximum": 1.0}, "not below"),
        ({"kind": "labels", "labels": []}, "labels"),
    ],
)
def test_fields_of_an_output_that_do_not_fit(config: dict[str, Any], told: str) -> None:
    assert told in problems(INPUTS, {"y": config})


def test_a_tokenizer_is_told_by_its_size() -> None:
    text = {"kind": "text", "tokenizer": "{}" * 50, "max_tokens": 8}
    task = SignatureTask(inputs={"text": text}, outputs=OUTPUTS)
    assert task.to_facts()["inputs"]["text"]["tokenizer"] == "100 bytes"
    assert task.to_plain()["inputs"]["text"]["tokenizer"] == "{}" * 50


@pytest.mark.parametrize("name", ["", "a b", "patient.age", "1st"])
def test_names_are_those_of_arguments(name: str) -> None:
    assert "pattern" in problems({name: INPUTS["photo"]})
    assert "pattern" in problems(INPUTS, {name: OUTPUTS["risk"]})
